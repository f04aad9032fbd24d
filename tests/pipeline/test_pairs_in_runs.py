"""Whole runs with a codec, another source and a coupling: what is stored, restored, decoded and blamed."""

import signal

import numpy as np
import pytest
import torch
from test_runs import StopAt

import gentoolkit as gt
from gentoolkit.errors import InterruptedRun, PluginError, UsageError
from gentoolkit.pipeline import Model
from gentoolkit.pipeline.evaluate import reference_field, validate
from gentoolkit.pipeline.work import Work
from gentoolkit.protocols import Batch
from gentoolkit.training import newest_checkpoint
from gentoolkit_codecs.standardize import Standardize
from gentoolkit_couplings.transport import OptimalTransport
from gentoolkit_sources.sources import DatasetSource, Gaussian

RECIPE = """
version: 2
name: pairs
dataset: {type: points, shape: moons, num_samples: 300}
codec: standardize
source: {type: dataset, dataset: {type: points, shape: eight_gaussians}}
coupling: optimal_transport
backbone: {type: mlp, width: 16, depth: 1}
objective: flow_matching
sampler: {type: euler, num_steps: 3}
metrics: [{type: sliced_wasserstein, num_projections: 8}]
train:
  {steps: 8, batch_size: 24, optimizer: {learning_rate: 0.01}, ema: {decay: 0.5}, checkpoint_every: 4,
  validate_every: 4, precision: fp32}
sample: {per_class: 12, batch_size: 5}
evaluate: {per_class: 16, validation_samples: 50}
"""
LABELED = "dataset={type: points, shape: eight_gaussians, num_samples: 400, labels: true}"


def recipe(*overrides):
    return gt.parse_recipe(RECIPE, "pairs.yaml", overrides)


def encoded(split, overrides=()):
    model = Model.build(recipe(*overrides))
    model.fit_codec()
    data = model.encoded(split)
    return model, data.batch(np.arange(len(data)))


def weights(run):
    return newest_checkpoint(run.directory.checkpoints).tensors["weights"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return gt.run(recipe(), tmp_path_factory.mktemp("runs"))


def test_training_sees_encoded_data_with_the_statistics_of_the_training_split():
    _, train = encoded("train")
    torch.testing.assert_close(train.x1.mean(0), torch.zeros(2), rtol=0, atol=1e-6)
    torch.testing.assert_close(train.x1.std(0, correction=0), torch.ones(2))
    _, held_out = encoded("held_out")
    assert (held_out.x1.mean(0).abs() > 1e-4).all()


def test_a_checkpoint_has_the_codec_and_no_data_is_read_to_use_it(finished, tmp_path, monkeypatch):
    saved = newest_checkpoint(finished.directory.checkpoints).tensors["codec"]
    data = finished.model().splits["train"].batch(np.arange(300)).x1
    torch.testing.assert_close(saved["mean"], data.mean(0))
    torch.testing.assert_close(saved["std"], data.std(0, correction=0))
    monkeypatch.setattr(Standardize, "fit", lambda self, chunks: pytest.fail("fitted again"))
    model = gt.load_model(finished.path)
    assert all(torch.equal(value, saved[name]) for name, value in model.codec.state_dict().items())
    model.sample(3)
    finished.evaluate()
    gt.resume(finished.path)
    again = gt.run(recipe("train.steps=2", f"init_from={finished.path}"), tmp_path).model()
    assert torch.equal(again.codec.mean, saved["mean"])


def test_samples_and_trajectories_are_decoded(finished):
    model = finished.model()
    samples, path = model.sample(7, seed=3), model.sample(7, seed=3, trajectory=True)
    x0 = DatasetSource.draw(model.source, 3, "source", np.arange(7))
    assert torch.equal(path.trajectory[0], model.codec.decode(x0))
    torch.testing.assert_close(path.trajectory[-1], samples.x1)


def test_a_run_that_is_stopped_and_resumed_is_the_same_bit_for_bit(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("gentoolkit.training.loop.FETCH_SECONDS", 0)  # so that progress shows every step
    with pytest.raises(InterruptedRun):
        gt.run(recipe(), tmp_path, progress=StopAt(5, signal.SIGINT))
    resumed = gt.resume(tmp_path / "pairs-1")
    assert all(torch.equal(value, weights(finished)[name]) for name, value in weights(resumed).items())
    assert resumed.records("evaluation") == finished.records("evaluation")


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["coupling=independent", "source=gaussian", "codec=null"], "exact field"),
        (["coupling=independent", "source=gaussian"], "Gaussian model"),
        (["coupling=independent"], None),
        (["source=gaussian"], None),
    ],
    ids=["plain", "codec", "source", "coupling"],
)
def test_closed_forms_need_gaussian_noise_and_independent_pairs(overrides, name):
    model, _ = encoded("train", [LABELED, *overrides]) if "codec=null" not in overrides else (None, None)
    model = model or Model.build(recipe(LABELED, *overrides))
    reference = reference_field(model)
    assert (reference and reference.name) == name
    if reference:
        # No network of this size beats the reference by more than chance: 50 samples, about 0.1 each.
        untrained, best = model.validate().loss, validate(model, reference.field).loss
        assert best < untrained


def test_patterns_have_no_exact_field_when_they_are_encoded():
    patterns = "dataset={type: patterns, num_samples: 64, image_size: 8, channels: 1}"
    plain = ["coupling=independent", "source=gaussian"]
    assert reference_field(Model.build(recipe(patterns, *plain, "codec=null"))).name == "exact field"
    assert reference_field(Model.build(recipe(patterns, *plain))) is None


def test_both_ends_of_pairs_are_encoded(plugins):
    text = RECIPE.replace("{type: points, shape: moons, num_samples: 300}", "{type: points/points, mode: paired}")
    text = text.replace("coupling: optimal_transport", "coupling: independent")
    text = text.replace("source: {type: dataset, dataset: {type: points, shape: eight_gaussians}}", "source: gaussian")
    model = Model.build(gt.parse_recipe(text, registry=plugins.registry))
    model.codec.mean += 5
    ((_, batch),) = model.pairs().of_step(Work.prepare(model.recipe).plan, 0, model.device)
    assert batch.x0.mean() < -4
    assert batch.x1.mean() < -4


def fails(self, *arguments):
    raise RuntimeError("it is broken")


def in_place(whole):
    def method(self, x, *rest):
        result = whole(self, x, *rest)
        x.add_(1)
        return result

    return method


FAULTS = {
    "source": (
        DatasetSource,
        "draw",
        lambda whole: fails,
        "source 'dataset' of gentoolkit .*: RuntimeError: it is br",
    ),
    "source of another shape": (
        DatasetSource,
        "draw",
        lambda whole: lambda self, *key: whole(self, *key)[:, :1],
        r"source 'dataset' .*trial batch: draw\(...\) is \(2, 1\) torch.float32, expected \(2, 2\)",
    ),
    "source not finite": (
        DatasetSource,
        "draw",
        lambda whole: lambda self, *key: whole(self, *key) / 0,
        "source 'dataset' .*x0 of the first rows is not finite",
    ),
    "coupling": (
        OptimalTransport,
        "couple",
        lambda whole: fails,
        "coupling 'optimal_transport' .*trial batch: Runt",
    ),
    "coupling of one": (
        OptimalTransport,
        "couple",
        lambda whole: lambda self, x0, x1, c: whole(self, x0, x1, c) * 0,
        "coupling 'optimal_transport' .*is not a permutation",
    ),
    "coupling in place": (OptimalTransport, "couple", in_place, "coupling .*it modifies its input x0 in place"),
    "codec fit": (Standardize, "fit", lambda whole: fails, "codec 'standardize' .*fitting: RuntimeError: it is broken"),
    "codec fit not finite": (
        Standardize,
        "fit",
        lambda whole: lambda self, chunks: self.mean.fill_(torch.nan),
        r"codec 'standardize' .*fitting: mean is not finite after fit\(...\)",
    ),
    "codec encode": (Standardize, "encode", lambda whole: fails, "codec 'standardize' .*trial batch: RuntimeError"),
    "codec of another shape": (
        Standardize,
        "encode",
        lambda whole: lambda self, x: whole(self, x)[:, :1],
        r"codec 'standardize' .*encode\(...\) is \(2, 1\) torch.float32, expected \(2, 2\)",
    ),
    "codec decode": (Standardize, "decode", lambda whole: fails, "codec 'standardize' .*trial batch: RuntimeError"),
    "codec decodes in place": (Standardize, "decode", in_place, "codec .*it modifies its input z in place"),
    "codec encodes in place": (Standardize, "encode", in_place, "codec .*it modifies its input x1 in place"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_before_anything_is_made(tmp_path, monkeypatch, fault):
    owner, name, change, words = FAULTS[fault]
    monkeypatch.setattr(owner, name, change(getattr(owner, name)))
    with pytest.raises(PluginError, match=words):
        gt.run(recipe(), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_codec_with_an_estimate_that_is_no_module_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("gentoolkit_codecs.standardize.Standardize", lambda config, spec: Unstored())
    with pytest.raises(PluginError, match=r"codec .*fitting: it has a method `fit`, but is no torch.nn.Module"):
        gt.run(recipe(), tmp_path / "runs")


class Unstored:
    def fit(self, chunks): ...

    def encode(self, x):
        return x

    decode = encode


@pytest.mark.parametrize(
    ("owner", "name", "overrides", "words"),
    [
        (Gaussian, "draw", ["source=gaussian"], "source 'gaussian' of gentoolkit .*, training step 1: .*it is broken"),
        (OptimalTransport, "couple", [], "coupling 'optimal_transport' of gentoolkit .*, training step 1: .*it is bro"),
        (Standardize, "encode", [], "codec 'standardize' of gentoolkit .*, training step 1: .*it is broken"),
        (Standardize, "decode", [], "codec 'standardize' of gentoolkit .*, sampling: .*it is broken"),
    ],
)
def test_a_fault_in_a_run_is_named_with_its_stage(tmp_path, monkeypatch, owner, name, overrides, words):
    prepare = Work.prepare.__func__

    def prepared(cls, *arguments, **given):
        work = prepare(cls, *arguments, **given)
        monkeypatch.setattr(owner, name, fails)
        return work

    monkeypatch.setattr(Work, "prepare", classmethod(prepared))
    with pytest.raises(PluginError, match=words):
        gt.run(recipe(*overrides), tmp_path)


def test_a_batch_without_its_labels_is_still_blamed_on_the_dataset(tmp_path, monkeypatch):
    from gentoolkit_points.dataset import Points

    prepare = Work.prepare.__func__

    def prepared(cls, *arguments, **given):
        work = prepare(cls, *arguments, **given)
        monkeypatch.setattr(Points, "batch", lambda self, indices: Batch(torch.zeros(len(indices), 3)))
        return work

    monkeypatch.setattr(Work, "prepare", classmethod(prepared))
    with pytest.raises(PluginError, match=r"dataset 'points' .*, training step 1: x1 is \(24, 3\)"):
        gt.run(recipe("source=gaussian"), tmp_path)


@pytest.mark.parametrize(("first", "second"), [("standardize", "null"), ("null", "standardize")])
def test_weights_of_another_codec_are_refused(tmp_path, first, second):
    run = gt.run(recipe("train.steps=1", f"codec={first}"), tmp_path)
    with pytest.raises(
        UsageError, match=r"(?s)do not match.*mean: (missing|\(2,\) float32) -> (missing|\(2,\) float32)"
    ):
        gt.run(recipe("train.steps=1", f"codec={second}", f"init_from={run.path}"), tmp_path)
