"""Whole runs of a third party's parts: data that is no image, every kind of condition and sampler, and observers."""

import sys

import pytest
import torch

import gentoolkit as gt
from gentoolkit.errors import PluginError, UsageError
from gentoolkit.protocols import Batch, LossRecord
from gentoolkit_flow_matching.objective import FlowMatching

RECIPE = """
version: 2
name: step  # no name makes a run look like a checkpoint
dataset: {{type: points/points, mode: {mode}}}
backbone: {{type: points/perceptron}}
objective: {{type: flow_matching}}
sampler: {{type: {sampler}}}
metrics: [{{type: sliced_wasserstein, num_projections: 8}}, {{type: residual_std_ratio}}]
observers: [points/recorder]
train: {{steps: 8, batch_size: 16, validate_every: 4, condition_dropout: {dropout}, checkpoint_every: 4}}
sample: {{per_class: 5, batch_size: 3}}
evaluate: {{per_class: 8, validation_samples: 16}}
"""


def go(plugins, root, mode="none", sampler="euler", dropout=0.0, *overrides):
    text = RECIPE.format(mode=mode, sampler=sampler, dropout=dropout)
    return gt.run(gt.parse_recipe(text, "points.yaml", overrides, plugins.registry), root, plugins=plugins)


@pytest.mark.parametrize("sampler", ["euler", "points/noisy", "points/restless"])
@pytest.mark.parametrize("mode", ["none", "labels", "vectors", "paired", "paired labels"])
def test_every_kind_of_data_and_sampler_runs_samples_and_reports(plugins, tmp_path, mode, sampler):
    run = go(plugins, tmp_path, mode, sampler, 0.2 if mode in ("labels", "vectors") else 0.0)
    classes = 2 if "labels" in mode else 1
    samples = run.sample(3, seed=1)
    assert samples.x1.shape == (3 * classes, 2)
    assert samples.x1.isfinite().all()
    evaluation = run.summary()["evaluation"]
    named = [part["name"] for part in (evaluation["validation"]["reference"], evaluation["reference"]) if part]
    assert named == (["Gaussian model"] * 2 if mode == "labels" else [])
    assert ("Gaussian model" in run.directory.report.read_text()) == (mode == "labels")
    assert all(set(metric["per_class"]) == ({"0", "1"} if classes == 2 else set()) for metric in evaluation["metrics"])
    assert all(metric["pooled"]["value"] > 0 for metric in evaluation["metrics"])
    assert evaluation["step"] == 8
    assert {file.name for file in run.directory.images.iterdir()} == {"loss.png", "samples.png", "trajectory.png"}
    assert run.directory.report.read_text().count("data:image/png") == 3
    assert run.directory.report.exists()
    model = gt.load_model(run.path, plugins=plugins)
    torch.testing.assert_close(model.sample(3, seed=1).x1, samples.x1)
    resumed = gt.resume(run.path, plugins=plugins)
    assert {**resumed.summary(), "seconds": 0} == {**run.summary(), "seconds": 0}


@pytest.mark.parametrize("mode", ["none", "labels"])
def test_sequences_are_drawn_as_lines_with_their_states_over_time(plugins, tmp_path, mode):
    run = go(plugins, tmp_path, mode, "euler", 0.0, "dataset.sequence=true", "backbone=mlp")
    assert run.sample(3).x1.shape[1:] == (1, 2)
    assert {file.name for file in run.directory.images.iterdir()} == {"loss.png", "samples.png", "trajectory.png"}


def test_guidance_of_vectors(plugins, tmp_path):
    run = go(plugins, tmp_path, "vectors", "euler", 0.2)
    guided = gt.load_model(run.path, ["guidance={type: cfg, scale: 3.0}"], plugins=plugins).sample(3)
    assert not torch.allclose(guided.x1, run.sample(3).x1)


def test_observers_hear_what_happens(plugins, tmp_path):
    run = go(plugins, tmp_path)
    heard = sys.modules["point_parts"].heard
    assert {event[0] for event in heard} == {str(run.path)}
    heard = [event[1:] for event in heard]
    step = {"loss", "velocity_error", "gradient_norm", "learning_rate"}
    # An observer hears of a checkpoint once it is on the disk, at the next step or later, while the training goes on.
    assert [event for event in heard if event[0] != "checkpoint"] == [
        ("started", "step", 0),
        *[(k, step) for k in range(1, 5)],
        ("validation", 4, {"loss", "loss_by_t", "path"}),
        *[(k, step) for k in range(5, 9)],
        ("samples", run.directory.samples / "samples.safetensors"),
        ("finished", 8),
        ("closed",),
    ]
    first, last = (heard.index(("checkpoint", k, run.directory.checkpoints / f"step-{k}")) for k in (4, 8))
    assert heard.index((4, step)) < first < last == [event[0] for event in heard].index("samples") - 1


def test_observers_hear_why_a_run_failed_and_that_it_is_closed(plugins, tmp_path, monkeypatch):
    whole = FlowMatching.loss

    def fail(self, backbone, batch, context):
        if context.step == 3:
            raise OSError("the share is gone")
        return whole(self, backbone, batch, context)

    monkeypatch.setattr(FlowMatching, "loss", fail)
    with pytest.raises(PluginError, match="training step 4: OSError: the share is gone"):
        go(plugins, tmp_path)
    *_, failed, closed = sys.modules["point_parts"].heard
    assert failed[:2] == (str(tmp_path / "step-1"), "failed")
    assert "training step 4: OSError: the share is gone" in failed[2]
    assert closed == (str(tmp_path / "step-1"), "closed")


@pytest.mark.parametrize(
    ("part", "broken", "words"),
    [
        (
            "Points",
            {"batch": lambda self, i: Batch(torch.zeros(len(i), 3))},
            r"dataset 'points/points' of points 1.0, trial batch: x1 is \(2, 3\) .*gentool check points",
        ),
        ("Points", {"batch": lambda self, i: Batch(torch.zeros(len(i), 2).double())}, r"float64, expected \(2, 2\)"),
        (
            "Points",
            {"batch": lambda self, i: Batch(torch.zeros(len(i), 2), i)},
            "condition is not None, but according to its spec",
        ),
        ("Perceptron", {"forward": lambda self, x, t, c: x[:, :1]}, r"'points/perceptron' .*output is \(2, 1\)"),
        ("Perceptron", {"forward": lambda self, x, t, c: None}, "output is a NoneType, expected a tensor"),
    ],
)
def test_a_part_that_breaks_its_promise_is_named(plugins, tmp_path, monkeypatch, part, broken, words):
    import point_parts

    for name, method in broken.items():
        monkeypatch.setattr(getattr(point_parts, part), name, method)
    with pytest.raises(PluginError, match=words):
        go(plugins, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_an_objective_that_needs_a_teacher_has_one_in_the_trial_too(plugins, tmp_path, monkeypatch):
    whole = FlowMatching.loss

    def taught(self, backbone, batch, context):
        context.ema_backbone(batch.x1, torch.zeros(len(batch)), batch.condition)
        return whole(self, backbone, batch, context)

    monkeypatch.setattr(FlowMatching, "loss", taught)
    assert go(plugins, tmp_path, "none", "euler", 0.0, "train.ema.decay=0.5").directory.report.exists()


@pytest.mark.parametrize("loss", [lambda record: record.loss, lambda record: LossRecord(record.loss.mean(), record.t)])
def test_an_objective_that_gives_no_record_per_sample_is_named(plugins, tmp_path, monkeypatch, loss):
    whole = FlowMatching.loss
    monkeypatch.setattr(FlowMatching, "loss", lambda *arguments: loss(whole(*arguments)))
    with pytest.raises(PluginError, match=r"objective 'flow_matching' .*expected"):
        go(plugins, tmp_path / "runs")


@pytest.mark.parametrize(
    ("mode", "override", "words"),
    [
        ("paired", "sample.per_class=201", "sample.per_class needs 201 held-out samples, but there are 200"),
        ("labels", "evaluate.per_class=80", "evaluate.per_class needs 160 held-out samples of a class"),
        ("none", "train.optimizer=muon", "the backbone names no matrices"),
    ],
)
def test_what_would_fail_after_the_training_is_told_before(plugins, tmp_path, mode, override, words):
    with pytest.raises(UsageError, match=words):
        go(plugins, tmp_path / "runs", mode, "euler", 0.0, override)
    assert not (tmp_path / "runs").exists()


def test_conditions_repeat_if_there_are_fewer_than_samples(plugins, tmp_path):
    samples = go(plugins, tmp_path, "vectors").sample(203)
    assert torch.equal(samples.condition[200:], samples.condition[:3])
    assert not torch.equal(samples.x1[200:], samples.x1[:3])


def test_a_rare_class_is_left_out_of_the_classes_but_not_of_the_whole(plugins, tmp_path):
    # Three in ten of 200 held-out points have label 1: less than 2 * 40.
    run = go(plugins, tmp_path, "labels", "euler", 0.0, "evaluate.per_class=40")
    evaluation = run.summary()["evaluation"]
    assert set(evaluation["left_out"]) == {"1"}
    assert all(set(metric["per_class"]) == {"0"} for metric in evaluation["metrics"])
    assert evaluation["samples"] == pytest.approx(80, abs=1)
    few = f"class 1 ({evaluation['left_out']['1']})"
    assert f"fewer than 80 held-out samples are only in the pooled value: {few}" in run.directory.report.read_text()
