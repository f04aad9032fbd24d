"""The trial before a training: each fault of a part is named before the run's directory is made."""

from pathlib import Path

import pytest
import torch
from test_other_data import go
from torch import nn

import gentoolkit as gt
from gentoolkit.errors import NonFiniteError, PluginError, UsageError
from gentoolkit.protocols import Batch, LossRecord
from gentoolkit.recipe import load_recipe
from gentoolkit.training.pairs import Pairs
from gentoolkit_flow_matching.objective import FlowMatching
from gentoolkit_metrics.distances import SlicedWasserstein
from gentoolkit_patterns.dataset import Patterns


def relabeled(self, indices):
    return Batch(torch.zeros(len(indices), 2), torch.full((len(indices),), 2))


def detached(self, backbone, batch, context):
    loss = backbone(batch.x1, context.generator.uniform(), batch.condition).square().mean(1).detach()
    return LossRecord(loss, torch.zeros(len(batch)))


def constant(self, backbone, batch, context):
    return LossRecord(torch.zeros(len(batch), requires_grad=True), torch.zeros(len(batch)))


def in_place(argument):
    """Return a method that adds 1 to one of its arguments and then does what it did."""

    def change(whole):
        def method(self, *arguments):
            arguments[argument].add_(1)
            return whole(self, *arguments)

        return method

    return change


def in_place_loss(whole):
    def method(self, backbone, batch, context):
        batch.x1.add_(1)
        return whole(self, backbone, batch, context)

    return method


def becomes(value):
    return lambda whole: value


FAULTS = {
    "negative length": ("Points", "__len__", becomes(lambda self: -1), r"dataset .*ValueError: __len__\(\) should"),
    "length is text": ("Points", "__len__", becomes(lambda self: "many"), "dataset .*TypeError: 'str'"),
    "no batch": ("Points", "batch", becomes(lambda self, i: None), "dataset .*returned a NoneType, expected a Batch"),
    "labels out of range": ("Points", "batch", becomes(relabeled), "dataset .*a label is 2; expected 0 to 1"),
    "data not finite": (
        "Points",
        "batch",
        becomes(lambda self, i: Batch(torch.full((len(i), 2), torch.nan), torch.zeros(len(i)).long())),
        "dataset .*x1 of the first train samples is not finite",
    ),
    "no module": (
        "Perceptron",
        "__new__",
        becomes(lambda cls, *arguments: "network"),
        "backbone .*building: it is a str, not a torch.nn.Module",
    ),
    "backbone changes x_t": ("Perceptron", "forward", in_place(0), "backbone .*it modifies its input x_t in place"),
    "loss is no record": (
        FlowMatching,
        "loss",
        becomes(lambda *a: None),
        "objective .*returned a NoneType, expected a L",
    ),
    "loss without a gradient": (
        FlowMatching,
        "loss",
        becomes(detached),
        "objective .*the loss has no gradient; it must",
    ),
    "loss of nothing": (FlowMatching, "loss", becomes(constant), "objective .*no gradient with respect to any"),
    "loss changes the data": (FlowMatching, "loss", in_place_loss, "objective .*it modifies its input x1 in place"),
    "no field": (
        FlowMatching,
        "field",
        becomes(lambda *a: None),
        "objective .*returned a NoneType, expected a gentoolk",
    ),
    "sampler of nothing": (
        "Noisy",
        "sample",
        becomes(lambda *a: None),
        "sampler .*returned a NoneType; expected a ten",
    ),
    "sampler of another shape": (
        "Noisy",
        "sample",
        becomes(lambda s, f, x, *a: x[:1]),
        r"sampler .*returned a tensor of shape \(1, 2\); expected a ten",
    ),
    "sampler without a trajectory": (
        "Noisy",
        "sample",
        becomes(lambda s, f, x, *a: x),
        "sampler .*never calls on_step",
    ),
    "sampler changes x0": ("Noisy", "sample", in_place(1), "sampler .*it modifies its input x0 in place"),
    "steps that can't be set": (
        "Noisy",
        "with_num_steps",
        becomes(lambda s, n: None),
        "sampler .*'NoneType' object has",
    ),
    "no metric": (
        SlicedWasserstein,
        "value",
        becomes(lambda self, real, other: None),
        "metric .*is a NoneType, expected a float",
    ),
    "metric raises": (SlicedWasserstein, "prepare", becomes(lambda *a: 1 / 0), "metric .*ZeroDivisionError"),
    "metric changes samples": (SlicedWasserstein, "prepare", in_place(0), "metric .*it modifies its input x1"),
    "metric changes rows": (SlicedWasserstein, "value", in_place(1), "metric .*it modifies its input other"),
    "metric without rows": (SlicedWasserstein, "prepare", becomes(lambda s, x, c: x[1:]), "metric .*as many rows"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_before_anything_is_made(plugins, parts, tmp_path, monkeypatch, fault):
    owner, name, change, words = FAULTS[fault]
    owner = getattr(parts, owner) if isinstance(owner, str) else owner
    monkeypatch.setattr(owner, name, change(getattr(owner, name, None)), raising=False)
    with pytest.raises(PluginError, match=words):
        go(plugins, tmp_path / "runs", "labels", "points/noisy")
    assert not (tmp_path / "runs").exists()


def test_a_backbone_without_parameters_is_named(plugins, parts, tmp_path, monkeypatch):
    monkeypatch.setattr(parts.Perceptron, "__init__", lambda self, config, spec, needs: nn.Module.__init__(self))
    monkeypatch.setattr(parts.Perceptron, "forward", lambda self, x, t, c: x)
    with pytest.raises(PluginError, match=r"backbone 'points/perceptron' .*it has no parameters to train"):
        go(plugins, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("broken", ["field", "sampler"])
def test_what_is_not_finite_is_named(plugins, parts, tmp_path, monkeypatch, broken):
    if broken == "field":
        whole = parts.Perceptron.forward
        monkeypatch.setattr(
            parts.Perceptron,
            "forward",
            lambda self, x, t, c: whole(self, x, t, c) if self.training else x * torch.nan,
        )
    else:
        whole = parts.Noisy.sample
        monkeypatch.setattr(parts.Noisy, "sample", lambda self, *arguments: whole(self, *arguments) / 0)
    named = {"field": "backbone 'points/perceptron'", "sampler": "sampler 'points/noisy'"}[broken]
    with pytest.raises(NonFiniteError, match=f"^{named} of points 1.0, trial batch: ") as caught:
        go(plugins, tmp_path / "runs", "labels", "points/noisy")
    assert caught.value.exit_code == 3
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("training", [True, False])
def test_a_trial_moves_no_buffer_and_leaves_no_gradient(plugins, parts, tmp_path, monkeypatch, training):
    whole, seen = parts.Perceptron.forward, []
    init = parts.Perceptron.__init__

    def counted(self, config, spec, needs):
        init(self, config, spec, needs)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, *arguments):
        seen.append((len(arguments[0]), self.calls.item(), next(self.parameters()).grad))
        self.calls = self.calls + 1
        return whole(self, *arguments)

    monkeypatch.setattr(parts.Perceptron, "__init__", counted)
    monkeypatch.setattr(parts.Perceptron, "forward", forward)
    go(plugins, tmp_path)
    assert next(entry[1:] for entry in seen if entry[0] == 16) == (0.0, None)


def test_a_metric_that_needs_many_samples_is_tried_with_as_many_as_it_will_get(
    plugins,
    parts,
    tmp_path,
    monkeypatch,
):
    whole, sizes = SlicedWasserstein.value, []

    def picky(self, real, generated):
        sizes.append(len(real))
        if len(real) < 20:
            raise IndexError("the 20th neighbor")
        return whole(self, real, generated)

    monkeypatch.setattr(SlicedWasserstein, "value", picky)
    go(plugins, tmp_path, "none", "euler", 0.0, "evaluate.per_class=24")
    assert sizes[:2] == [16, 24]


def test_a_metric_prepares_no_more_samples_at_once_than_in_the_evaluation(plugins, parts, tmp_path, monkeypatch):
    whole, sizes = SlicedWasserstein.prepare, []

    def counting(self, x, condition):
        sizes.append(len(x))
        return whole(self, x, condition)

    monkeypatch.setattr(SlicedWasserstein, "prepare", counting)
    go(plugins, tmp_path, "none", "euler", 0.0, "sample.batch_size=5")
    assert max(sizes) == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda batch: Batch(batch.x1[:, :1], batch.condition), r"x1 is \(16, 1\) torch.float32, expected \(16, 2\)"),
        (lambda batch: Batch(batch.x1.double(), batch.condition), r"x1 is \(16, 2\) torch.float64, expected"),
        (lambda batch: Batch(batch.x1, batch.condition + 2), "a label is [23]; expected 0 to 1"),
        (lambda batch: Batch(batch.x1), "condition is a NoneType, expected a tensor"),
    ],
)
def test_a_batch_that_changes_later_names_the_dataset_and_the_step(
    plugins,
    parts,
    tmp_path,
    monkeypatch,
    change,
    words,
):
    whole, pairs = parts.Points.batch, Pairs.of_step

    def of_step(self, plan, step, device):
        if step == 4:
            self.dataset.batch = lambda indices: change(whole(self.dataset, indices))
        return pairs(self, plan, step, device)

    monkeypatch.setattr(Pairs, "of_step", of_step)
    with pytest.raises(PluginError, match=f"^dataset 'points/points' of points 1.0, training step 5: {words}"):
        go(plugins, tmp_path, "labels")


def test_all_limits_of_the_data_are_told_at_once(plugins, tmp_path):
    overrides = ["train.batch_size=101", "evaluate.per_class=101", "evaluate.validation_samples=201"]
    with pytest.raises(UsageError) as caught:
        go(plugins, tmp_path / "runs", "paired", "euler", 0.0, *overrides, "sample.per_class=202")
    lines = str(caught.value).splitlines()
    assert [line.split()[0] for line in lines] == [
        "train.batch_size",
        "evaluate.per_class",
        "evaluate.validation_samples",
        "sample.per_class",
    ]
    assert not (tmp_path / "runs").exists()


def test_values_outside_the_declared_range_name_the_dataset(tmp_path, monkeypatch):
    whole = Patterns.batch
    monkeypatch.setattr(Patterns, "batch", lambda self, indices: whole(self, indices).map(lambda part: 2 * part))
    recipe = load_recipe(Path(__file__).parents[2] / "recipes" / "smoke.yaml")
    with pytest.raises(PluginError, match=r"dataset 'patterns' .*the first train samples are .*declares -1 to 1"):
        gt.run(recipe, tmp_path)
    assert list(tmp_path.iterdir()) == []
