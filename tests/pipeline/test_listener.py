"""Checkpoints are written beside the training: copied at once, on the disk later, and never more than one at a time."""

import errno
import os
import threading
from pathlib import Path

import pytest
import torch

import gentoolkit as gt
from gentoolkit.errors import OutOfSpaceError
from gentoolkit.interrupts import StopSignal
from gentoolkit.pipeline import listener as module
from gentoolkit.pipeline.listener import RunListener
from gentoolkit.pipeline.progress import Silent
from gentoolkit.pipeline.work import Work
from gentoolkit.records import Step
from gentoolkit.rundir import RunDir
from gentoolkit.training import newest_checkpoint
from gentoolkit.training.checkpoints import save_checkpoint

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke.yaml"


class Observed:
    """Stands for the observers: keeps what they are told, and in which thread."""

    def __init__(self):
        self.heard = []

    def notify(self, event, *arguments):
        if event == "checkpoint":
            self.heard.append((arguments[0], threading.current_thread()))

    def steps(self):
        return [step for step, _ in self.heard]


class Gate:
    """Writes checkpoints as `save_checkpoint` does, once it is opened."""

    def __init__(self):
        self.open, self.begun, self.writing, self.most = threading.Event(), [], 0, 0

    def __call__(self, root, checkpoint, keep, verified):
        self.begun.append(checkpoint.step)
        self.writing += 1
        self.most = max(self.most, self.writing)
        assert self.open.wait(3600)
        folder = save_checkpoint(root, checkpoint, keep, verified)
        self.writing -= 1
        return folder


@pytest.fixture
def gate(monkeypatch):
    monkeypatch.setattr(module, "save_checkpoint", made := Gate())
    yield made
    made.open.set()


@pytest.fixture
def work():
    return Work.prepare(gt.load_recipe(SMOKE))


@pytest.fixture
def listener(work, tmp_path):
    return RunListener(RunDir.create(tmp_path, "run"), Observed(), work.model, work.plan, Silent())


def save_at(listener, state, step):
    state.step = step
    listener.checkpoint(state)


def test_training_goes_on_while_a_checkpoint_is_written(listener, work, gate):
    first = next(work.model.backbone.parameters())
    with listener.training(StopSignal()):
        listener.record(Step(step=4, loss=1.0))
        size = listener.directory.metrics.stat().st_size
        saved = first.detach().clone()
        save_at(listener, work.state, 4)
        with torch.no_grad():
            first.add_(1)
        listener.record(Step(step=5, loss=1.0))
        assert listener.observers.steps() == []
        assert "checkpoint" not in (listener.directory.log.read_text() if listener.directory.log.exists() else "")
        gate.open.set()
    checkpoint = newest_checkpoint(listener.directory.checkpoints)
    name = next(iter(dict(work.state.weights.named_parameters())))
    assert torch.equal(checkpoint.tensors["weights"][name], saved)
    assert checkpoint.numbers["metrics_size"] == size < listener.directory.metrics.stat().st_size
    assert listener.observers.heard == [(4, threading.main_thread())]
    assert "checkpoint" in listener.directory.log.read_text()


def test_a_checkpoint_is_told_at_the_next_record_after_it_is_on_the_disk(listener, work):
    with listener.training(StopSignal()):
        save_at(listener, work.state, 4)
        listener._writing[1].result(3600)
        assert listener.observers.steps() == []
        listener.record(Step(step=5, loss=1.0))
        assert listener.observers.steps() == [4]


def test_a_second_checkpoint_waits_for_the_first(listener, work, gate):
    with listener.training(StopSignal()):
        save_at(listener, work.state, 4)
        threading.Timer(0.2, gate.open.set).start()
        save_at(listener, work.state, 5)
        assert listener.observers.steps() == [4]
    assert gate.begun == listener.observers.steps() == [4, 5]
    assert gate.most == 1


def test_what_ends_the_training_leaves_no_checkpoint_half_written(listener, work, gate):
    def fail():
        with listener.training(StopSignal()):
            save_at(listener, work.state, 4)
            threading.Timer(0.2, gate.open.set).start()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert newest_checkpoint(listener.directory.checkpoints).step == 4
    assert listener.observers.steps() == [4]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("checkpoint")]


@pytest.mark.parametrize("step", [5, 12])  # in the middle, and the last one
def test_a_full_disk_ends_the_run_as_it_always_did(tmp_path, monkeypatch, step):
    real = module.save_checkpoint

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def save(root, checkpoint, keep, verified):
        with monkeypatch.context() as patch:
            if checkpoint.step == step:
                patch.setattr(os, "fsync", full)
            return real(root, checkpoint, keep, verified)

    monkeypatch.setattr(module, "save_checkpoint", save)
    with pytest.raises(OutOfSpaceError, match=f"checkpoint of step {step}: the disk is full") as error:
        gt.run(gt.load_recipe(SMOKE), tmp_path)
    assert error.value.exit_code == 5
    directory = RunDir(tmp_path / "smoke-1")
    assert "OutOfSpaceError" in directory.log.read_text()
    assert f"step-{step}" not in [folder.name for folder in directory.checkpoints.iterdir()]
