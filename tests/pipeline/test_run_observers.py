"""An observer can't change or end its run, whatever it does."""

import random
import sys
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import gentoolkit as gt
from gentoolkit.errors import InterruptedRun, PluginError, UsageError

RECIPE = """
version: 2
name: observed
dataset: {type: points/points}
backbone: {type: points/perceptron}
objective: {type: flow_matching}
sampler: {type: euler, num_steps: 2}
train: {steps: 6, batch_size: 8, validate_every: 2, checkpoint_every: 3}
sample: {per_class: 4}
evaluate: {per_class: 8, validation_samples: 16}
"""
RECORDER = "observers=[points/recorder]"


def go(plugins, root, *overrides):
    return gt.run(gt.parse_recipe(RECIPE, "r.yaml", overrides, plugins.registry), root, plugins=plugins)


def outcome(run):
    """Return the weights and the samples of a run, and its records without times."""
    (weights,) = (run.directory.checkpoints / "step-6").glob("*weights*")
    samples = load_file(run.directory.samples / "samples.safetensors")["x1"]
    records = [record for record in run.records() if record["event"] != "finished"]
    return weights.read_bytes(), samples.tolist(), records


def every_event(monkeypatch, parts, method):
    for event in ("started", "step", "validation", "checkpoint", "samples", "failed", "finished", "close"):
        monkeypatch.setattr(parts.Recorder, event, method)


def test_one_that_always_raises_is_reported_once_for_each_event(plugins, parts, tmp_path, monkeypatch):
    def fail(self, *arguments):
        raise OSError("no network")

    every_event(monkeypatch, parts, fail)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = go(plugins, tmp_path, "observers=[points/recorder, csv]")
    told = [str(warning.message) for warning in caught if warning.category is RuntimeWarning]
    events = ["started", "step", "validation", "checkpoint", "samples", "finished", "close"]
    assert sorted(line.partition(" raised in ")[2].partition(":")[0] for line in told) == sorted(events)
    assert told[0].startswith("observer 'points/recorder' of points 1.0 raised in started: OSError: no network")
    assert len((run.path / "steps.csv").read_text().splitlines()) == 7  # the other observer hears all the same


@pytest.mark.parametrize("fault", [SystemExit(2), GeneratorExit(), AssertionError()])
def test_nothing_that_it_raises_ends_the_run(plugins, parts, tmp_path, monkeypatch, fault):
    def fail(self, *arguments):
        raise fault

    every_event(monkeypatch, parts, fail)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = go(plugins, tmp_path, RECORDER)
    assert run.records("finished")
    assert f"raised in step: {type(fault).__name__}" in "".join(str(warning.message) for warning in caught)


def test_ctrl_c_in_it_stops_the_run(plugins, parts, tmp_path, monkeypatch):
    def interrupt(self, step, values):
        raise KeyboardInterrupt

    monkeypatch.setattr(parts.Recorder, "validation", interrupt)
    with pytest.raises(InterruptedRun):
        go(plugins, tmp_path, RECORDER)
    assert [event[1] for event in parts.heard[-2:]] == ["failed", "closed"]


def test_it_changes_nothing_of_the_run(plugins, parts, tmp_path, monkeypatch):
    """Neither through its arguments, nor through the global generators, which dropout uses."""
    perceptron = parts.Perceptron.forward

    def dropping(self, x_t, t, condition=None):
        return torch.nn.functional.dropout(perceptron(self, x_t, t, condition), 0.2, self.training)

    monkeypatch.setattr(parts.Perceptron, "forward", dropping)
    plain = outcome(go(plugins, tmp_path / "plain"))

    def meddle(self, *arguments):
        torch.manual_seed(7)
        np.random.seed(7)  # noqa: NPY002
        random.seed(7)
        for argument in arguments:
            if isinstance(argument, dict):
                for value in argument.values():
                    if isinstance(value, list | dict):
                        value.clear()
                argument.clear()

    every_event(monkeypatch, parts, meddle)
    with torch.random.fork_rng(devices=[]):
        assert outcome(go(plugins, tmp_path / "observed", RECORDER)) == plain


def test_what_an_observer_changes_does_not_reach_the_next_one(plugins, parts, tmp_path, monkeypatch):
    heard = []

    def clear(self, step, values):
        heard.append(dict(values))
        values.clear()

    monkeypatch.setattr(parts.Recorder, "step", clear)
    run = go(plugins, tmp_path, "observers=[points/recorder, csv]")
    assert heard[0]["loss"] == run.records("step")[0]["loss"]
    assert "loss" in (run.path / "steps.csv").read_text()


def test_what_it_prints_goes_to_stderr(plugins, parts, tmp_path, monkeypatch, capsys):
    def build(self, config, directory):
        print("built")

    every_event(monkeypatch, parts, lambda self, *arguments: print("heard"))
    monkeypatch.setattr(parts.Recorder, "__init__", build)
    go(plugins, tmp_path, RECORDER)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("built\nbuilt\nheard\n")  # in the trial and in the run


def test_an_extra_that_is_missing_is_told_before_there_is_a_run(plugins, parts, tmp_path, monkeypatch):
    def build(self, config, directory):
        raise UsageError("wandb is not installed: pip install points[wandb]")

    monkeypatch.setattr(parts.Recorder, "__init__", build)
    with pytest.raises(UsageError, match=r"^wandb is not installed: pip install points\[wandb\]$"):
        go(plugins, tmp_path / "runs", RECORDER)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("fault", [OSError("no network"), SystemExit(0)])
def test_a_factory_that_fails_in_the_trial_is_named(plugins, parts, tmp_path, monkeypatch, fault):
    def build(self, config, directory):
        raise fault

    monkeypatch.setattr(parts.Recorder, "__init__", build)
    words = f"observer 'points/recorder' of points 1.0, trial batch: {type(fault).__name__}"
    with pytest.raises(PluginError, match=words):
        go(plugins, tmp_path / "runs", RECORDER)
    assert not (tmp_path / "runs").exists()


def test_one_that_fails_to_be_built_after_the_trial_is_left_out(plugins, parts, tmp_path, monkeypatch):
    def build(self, config, directory):
        if directory.is_relative_to(tmp_path / "runs"):
            raise OSError("no network")

    monkeypatch.setattr(parts.Recorder, "__init__", build)
    with pytest.warns(RuntimeWarning, match="raised in its factory; the run continues without it: OSError: no network"):
        run = go(plugins, tmp_path / "runs", RECORDER)
    assert run.records("finished")
    assert parts.heard == []


def test_a_resumed_run_has_a_new_observer_which_hears_where_it_continues(plugins, parts, tmp_path):
    run = go(plugins, tmp_path)
    assert sys.modules["point_parts"].heard == []
    gt.resume(run.path, [RECORDER, "train.steps=8"], plugins=plugins)  # needs no --force
    heard = [event[1:] for event in parts.heard]
    assert heard[0] == ("started", "observed", 6)
    assert [event[0] for event in heard if isinstance(event[0], int)] == [7, 8]
    assert heard[-1] == ("closed",)
