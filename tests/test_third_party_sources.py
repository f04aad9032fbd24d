"""A third party's coupling, source and codec: one short file each, keeps its contracts and is trained by a recipe."""

import sys
from pathlib import Path

import pytest
import torch

import gentoolkit as gt
from gentoolkit.errors import RecipeError
from gentoolkit.plugins import load_plugins
from gentoolkit.testing import check

TRIALS = Path(__file__).parent / "third_party" / "trials"
MODULES = ("class_coupling", "cube_source", "pca_codec")
RECIPE = """
version: 2
name: trial
dataset: {type: points, shape: moons, num_samples: 400, labels: true}
backbone: {type: mlp, width: 32}
objective: flow_matching
sampler: {type: euler, num_steps: 4}
metrics: [sliced_wasserstein]
train: {steps: 30, batch_size: 32, optimizer: {learning_rate: 3e-3}}
sample: {per_class: 20}
evaluate: {per_class: 20, validation_samples: 40}
"""
#: Trial -> the overrides that use it.
USES = {
    "class_coupling": ["coupling=trials/class_coupling"],
    "cube_source": ["source={type: trials/cube, side: 2}"],
    "pca_codec": [
        "codec={type: trials/pca, components: 3}",
        "dataset={type: patterns, num_samples: 320, image_size: 8, channels: 1}",
    ],
}


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """The installed plugins and the trials, of a distribution named trials."""
    info = tmp_path / "site" / "trials-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trials\nVersion: 1.0\n")
    points = "\n".join(f"{module} = {module}" for module in MODULES)
    (info / "entry_points.txt").write_text(f"[gentoolkit.plugins.v2]\n{points}\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.syspath_prepend(TRIALS)
    yield load_plugins()
    for module in MODULES:
        sys.modules.pop(module, None)


def recipe(plugins, *overrides):
    return gt.parse_recipe(RECIPE, "trial.yaml", overrides, plugins.registry)


@pytest.mark.parametrize("module", MODULES)
def test_it_is_one_short_file(module):
    assert len((TRIALS / f"{module}.py").read_text().splitlines()) <= 40


def test_they_keep_their_contracts(plugins):
    outcomes = check("trials", plugins)
    assert {outcome.component for outcome in outcomes} == {"trials/class_coupling", "trials/cube", "trials/pca"}
    assert [outcome for outcome in outcomes if outcome.status not in ("passed", "skipped")] == []
    skipped = {outcome.contract for outcome in outcomes if outcome.status == "skipped"}
    assert skipped == {"codec.inverse", "source.gaussian"}


@pytest.mark.parametrize("module", MODULES)
def test_a_recipe_trains_it_and_a_resumed_run_is_the_same(plugins, tmp_path, module):
    run = gt.run(recipe(plugins, *USES[module]), tmp_path / "runs", plugins=plugins)
    assert run.summary()["evaluation"]["step"] == 30
    assert run.directory.report.exists()
    assert gt.resume(run.path, plugins=plugins).records("evaluation") == run.records("evaluation")


def test_the_pairs_of_a_class_coupling_are_of_equal_classes(plugins):
    """With a large weight, x0 of each prior class goes to x1 of that class, whatever the batch."""
    coupling = gt.Model.build(recipe(plugins, "coupling={type: trials/class_coupling, weight: 1e6}")).coupling
    generator = torch.Generator().manual_seed(0)
    x0, condition = torch.randn(64, 2, generator=generator), torch.arange(64) % 2
    near, far = (coupling.couple(x0, shift + torch.randn(64, 2, generator=generator), condition) for shift in (0, 9))
    assert set(near[condition == 1].tolist()) == set(far[condition == 1].tolist())


def test_a_class_coupling_without_labels_is_refused_with_its_place(plugins):
    with pytest.raises(RecipeError, match=r"coupling: class-conditional transport needs labels; use optimal_transport"):
        recipe(plugins, "coupling=trials/class_coupling", "dataset.labels=false")


def test_samples_of_a_lossy_codec_are_in_the_shape_of_the_data(plugins, tmp_path):
    run = gt.run(recipe(plugins, *USES["pca_codec"]), tmp_path / "runs", plugins=plugins)
    assert run.sample(2).x1.shape == (8, 1, 8, 8)
    # Three components: decoded samples, less the mean, have rank 3.
    model = run.model()
    differences = (run.sample(5).x1.flatten(1) - model.codec.mean).double()
    assert torch.linalg.matrix_rank(differences, rtol=1e-4) == 3
