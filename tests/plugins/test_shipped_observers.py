"""The observers of gentoolkit: what they write, what a resumed run leaves, and links that are not followed."""

import csv
import sys
from pathlib import Path

import pytest

import gentoolkit as gt
from building import config
from gentoolkit.errors import InterruptedRun, UsageError
from gentoolkit.pipeline.listener import RunListener
from gentoolkit.records import Step
from gentoolkit.registry import build

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke.yaml"
STEPS = ["train.checkpoint_every=5", "train.validate_every=4"]


def rows(file):
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def table(directory, name="csv"):
    return build(config("observer", name), directory=directory)


@pytest.fixture
def uninterrupted(tmp_path):
    return gt.run(gt.load_recipe(SMOKE, [*STEPS, "observers=[csv]"]), tmp_path / "whole")


def test_a_run_leaves_a_table_of_steps_and_one_of_validations(uninterrupted):
    steps, validations = (rows(uninterrupted.path / f"{name}.csv") for name in ("steps", "validations"))
    records = uninterrupted.records("step")
    assert [int(row["step"]) for row in steps] == [record["step"] for record in records] == list(range(1, 13))
    assert [float(row["loss"]) for row in steps] == [record["loss"] for record in records]
    (first, second) = uninterrupted.records("validation")
    assert [int(row["step"]) for row in validations] == [4, 8]
    assert [float(validations[0][f"loss_by_t.{k}"]) for k in range(len(first["loss_by_t"]))] == first["loss_by_t"]
    assert (validations[1]["path"], float(validations[1]["loss"])) == ("linear", second["loss"])


@pytest.mark.parametrize("stop", [3, 7, 9])
def test_a_killed_and_resumed_run_has_the_tables_of_one_that_was_not(uninterrupted, tmp_path, monkeypatch, stop):
    """It dies at a step after a checkpoint, so some rows are there already when it repeats the steps."""
    record = RunListener.record

    def die(self, item):
        record(self, item)
        if isinstance(item, Step) and item.step == stop:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunListener, "record", die)
        with pytest.raises(InterruptedRun):
            gt.run(gt.load_recipe(SMOKE, [*STEPS, "train.checkpoint_every=2", "observers=[csv]"]), tmp_path)
    broken = tmp_path / "smoke-1"
    with (broken / "steps.csv").open("a") as file:
        file.write("99,0.")  # what a killed process leaves
    gt.resume(broken, ["train.checkpoint_every=5"])
    for name in ("steps.csv", "validations.csv"):
        assert (broken / name).read_text() == (uninterrupted.path / name).read_text()


def test_a_new_column_is_added_to_the_earlier_rows(tmp_path):
    observer = table(tmp_path)
    observer.started({}, 0)
    observer.step(1, {"loss": 0.5})
    observer.step(2, {"loss": 0.25, "rate": 1.0})
    observer.step(3, {"rate": 2.0})
    assert (tmp_path / "steps.csv").read_text() == "step,loss,rate\n1,0.5,\n2,0.25,1.0\n3,,2.0\n"
    observer.close()
    assert [file.name for file in tmp_path.iterdir()] == ["steps.csv"]


def test_a_row_is_in_the_file_before_the_next_step(tmp_path):
    observer = table(tmp_path)
    observer.started({}, 0)
    for step in (1, 2):
        observer.step(step, {"loss": 0.5})
        assert len(rows(tmp_path / "steps.csv")) == step
    observer.close()


def test_a_link_in_the_place_of_a_table_is_replaced_and_not_followed(tmp_path):
    (run := tmp_path / "run").mkdir()
    (target := tmp_path / "kept.csv").write_text("step,loss\n1,0.5\n")
    for name in ("steps.csv", ".steps.csv.new"):
        (run / name).symlink_to(target)
    observer = table(run)
    observer.started({}, 1)
    observer.step(2, {"loss": 0.25})
    observer.close()
    assert target.read_text() == "step,loss\n1,0.5\n"
    assert (run / "steps.csv").read_text() == "step,loss\n2,0.25\n"


def test_without_its_extra_tensorboard_says_what_to_install_before_a_run_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # importing it now raises ImportError
    with pytest.raises(UsageError, match=r"; for the observer tensorboard: pip install gentoolkit\[tensorboard\]$"):
        gt.run(gt.load_recipe(SMOKE, ["observers=[tensorboard]"]), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def scalars(run):
    loading = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    events = loading.EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def test_tensorboard_reads_the_losses_also_after_a_resume(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install gentoolkit[tensorboard]")
    run = gt.run(gt.load_recipe(SMOKE, [*STEPS, "observers=[tensorboard]"]), tmp_path)
    gt.resume(run.path, ["train.steps=14"])
    found = scalars(run.path)
    assert set(found) >= {"step/loss", "step/learning_rate", "step/gradient_norm", "validation/loss"}
    losses = {record["step"]: record["loss"] for record in run.records("step")}
    assert found["step/loss"] == pytest.approx(losses, rel=1e-6)  # in float32
    assert sorted(found["validation/loss"]) == [4, 8]


def test_tensorboard_hides_what_comes_after_the_checkpoint(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install gentoolkit[tensorboard]")
    for first in (0, 2):
        observer = table(tmp_path, "tensorboard")
        observer.started({}, first)
        for step in range(first + 1, 5 - first // 2):
            observer.step(step, {"loss": float(10 * first + step)})
        observer.close()
    assert scalars(tmp_path)["step/loss"] == {1: 1.0, 2: 2.0, 3: 23.0}


def test_a_link_in_the_place_of_the_folder_of_tensorboard_is_not_followed(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install gentoolkit[tensorboard]")
    (run := tmp_path / "run").mkdir()
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (run / "tensorboard").symlink_to(elsewhere)
    with pytest.raises(OSError, match="is a link"):
        table(run, "tensorboard").started({}, 0)
    assert not [*elsewhere.iterdir()]
