"""Every kind of part that researchers change, as a plugin of one short file from outside: trained and checked.

The package `trials` has a module for each part, and a recipe that trains with it.
"""

import json
import os
import sys
import tomllib
from pathlib import Path

import pytest
import torch

import gentoolkit as gt
from gentoolkit.errors import RecipeError
from gentoolkit.plugins import GROUP, load_plugins
from gentoolkit.registry import entry_of
from gentoolkit.testing import check_entry

TRIALS = Path(__file__).parent / "third_party" / "trials"
POINTS = tomllib.loads((TRIALS / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
RECIPES = {file.stem: file for file in sorted(TRIALS.glob("recipes/*.yaml"))}
#: The contracts for objectives and samplers are made for one time; a mean flow has two, and a jump needs both.
CHECKED = [name for name in POINTS if name not in ("mean_flow", "jump")]


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """The installed plugins and the trials, installed as their pyproject.toml says."""
    info = tmp_path / "site" / "trials-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trials\nVersion: 0.1.0\n")
    lines = "".join(f"{name} = {module}\n" for name, module in POINTS.items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")
    for folder in (tmp_path / "site", TRIALS / "src"):
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # for the contracts that ask a fresh process
    yield load_plugins()
    for name in [name for name in sys.modules if name.partition(".")[0] == "trials"]:
        del sys.modules[name]


def recipe(plugins, name, *overrides):
    return gt.load_recipe(RECIPES[name], overrides, plugins.registry)


def entries(plugins):
    return [entry for entry in plugins.registry.entries() if entry.distribution == "trials"]


def test_each_is_one_short_file_and_an_entry_point():
    files = [file for file in TRIALS.glob("src/trials/*.py") if file.stem != "__init__"]
    assert {f"trials.{file.stem}" for file in files} == set(POINTS.values())
    assert [file.name for file in files if len(file.read_text().splitlines()) > 40] == []


def test_the_recipes_use_every_component(plugins):
    assert [bad for bad in plugins.quarantined if bad.distribution == "trials"] == []
    used = {entry_of(config).name for name in RECIPES for _, config in recipe(plugins, name).components()}
    assert {entry.name for entry in entries(plugins)} == {name for name in used if name.startswith("trials/")}


@pytest.mark.parametrize("name", RECIPES)
def test_its_recipe_trains_and_a_resumed_run_is_the_same(plugins, tmp_path, name):
    run = gt.run(recipe(plugins, name), tmp_path, plugins=plugins)
    assert run.records("step")[-1]["step"] == run.recipe.train.steps
    assert run.sample(per_class=2).x1.isfinite().all()
    assert run.directory.origin()["versions"]["trials"] == "0.1.0"
    assert gt.resume(run.path, plugins=plugins).records("evaluation") == run.records("evaluation")


@pytest.mark.parametrize("name", CHECKED)
def test_it_keeps_its_contracts(plugins, name):
    outcomes = [
        outcome
        for entry in entries(plugins)
        if entry.config.__module__ == POINTS[name]
        for outcome in check_entry(entry, plugins.registry)
    ]
    assert outcomes
    assert [outcome for outcome in outcomes if outcome.status not in ("passed", "skipped")] == []


def test_the_observer_has_the_lowest_validation_loss_also_of_a_resumed_run(plugins, tmp_path):
    run = gt.run(recipe(plugins, "best"), tmp_path, plugins=plugins)
    gt.resume(run.path, ["train.steps=16"], plugins=plugins)
    lowest = min(run.records("validation"), key=lambda record: record["loss"])
    assert json.loads((run.path / "lowest.json").read_text()) == {"loss": lowest["loss"], "step": lowest["step"]}


def test_the_pairs_of_a_class_coupling_are_of_equal_classes(plugins):
    """With a large weight, x0 of each prior class goes to x1 of that class, whatever the batch."""
    coupling = gt.Model.build(recipe(plugins, "class_coupling", "coupling.weight=1e6")).coupling
    generator = torch.Generator().manual_seed(0)
    x0, condition = torch.randn(64, 2, generator=generator), torch.arange(64) % 2
    near, far = (coupling.couple(x0, shift + torch.randn(64, 2, generator=generator), condition) for shift in (0, 9))
    assert set(near[condition == 1].tolist()) == set(far[condition == 1].tolist())


def test_a_class_coupling_without_labels_is_refused_with_its_place(plugins):
    with pytest.raises(RecipeError, match=r"yaml:5:11: coupling: .*needs labels; use optimal_transport"):
        recipe(plugins, "class_coupling", "dataset.labels=false")


def test_samples_of_a_lossy_codec_are_in_the_shape_of_the_data(plugins, tmp_path):
    run = gt.run(recipe(plugins, "pca"), tmp_path, plugins=plugins)
    model = run.model()
    samples = model.sample(5).x1
    assert samples.shape == (20, 1, 8, 8)
    # Three components: decoded samples, less the mean, have rank 3.
    differences = (samples.flatten(1) - model.codec.mean).double()
    assert torch.linalg.matrix_rank(differences, rtol=1e-4) == 3


def test_a_flow_map_jumps_where_its_field_would_go_in_many_small_steps(plugins, tmp_path):
    """After some training, one jump ends nearer to twenty Euler steps than half of the way that these go."""
    run = gt.run(recipe(plugins, "mean_flow", "train.steps=300"), tmp_path, plugins=plugins)
    jump = gt.load_model(run.path, ["sampler.num_steps=1"], plugins=plugins).sample(per_class=8, trajectory=True)
    many = gt.load_model(run.path, ["sampler={type: euler, num_steps: 20}"], plugins=plugins).sample(per_class=8).x1
    moved = (jump.trajectory[0] - many).square().mean().sqrt()
    assert (jump.x1 - many).square().mean().sqrt() < 0.5 * moved
