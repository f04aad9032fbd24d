"""The experiments keep the contracts of what they stand in for, and every trial's recipe is valid."""

import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn

import gentoolkit as gt
from benchmarks.time_to_quality import RECIPE
from benchmarks.trials import EXPERIMENTS, TRIALS
from gentoolkit.api import DataSpec
from gentoolkit.plugins import load_plugins
from gentoolkit.protocols import Batch, TrainingContext
from gentoolkit.randomness import BatchGenerator, forked
from gentoolkit.testing import check
from gentoolkit_dit import DiTConfig
from gentoolkit_dit.network import DiT

FOLDER = Path(__file__).parents[2] / "benchmarks" / "experiments"


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """All plugins with those of benchmarks/experiments, as if these were installed."""
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    info = tmp_path / "gentoolkit_experiments-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    ((group, points),) = project["entry-points"].items()
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *(f"{k} = {v}" for k, v in points.items()), ""]))
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.syspath_prepend(tmp_path)
    return load_plugins()


def test_they_keep_the_contracts(plugins):
    outcomes = check(EXPERIMENTS, plugins)
    assert [outcome for outcome in outcomes if outcome.status == "failed"] == []
    assert {outcome.contract for outcome in outcomes if outcome.status == "skipped"} == {"objective.parameters"}
    unproven = {outcome.component for outcome in outcomes if outcome.status not in ("passed", "skipped")}
    assert unproven == {f"{EXPERIMENTS}/preconditioned"}


def test_preconditioning_gives_input_and_target_of_unit_variance(plugins):
    # x0 ~ N(0, 1), x1 ~ N(0, sigma²): by linearity the variances follow from the coefficients of x0 and x1.
    entry = plugins.registry.get("objective", f"{EXPERIMENTS}/preconditioned")
    sigma, t = 0.3, torch.linspace(0, 1, 11, dtype=torch.float64)
    c_in, c_skip, c_out = entry.build(entry.config(sigma_data=sigma)).coefficients(t)
    of_x0, of_x1 = (-1 - c_skip * (1 - t)) / c_out, (1 - c_skip * t) / c_out  # F = (x1 - x0 - c_skip x_t) / c_out
    torch.testing.assert_close(c_in**2 * ((1 - t) ** 2 + t**2 * sigma**2), torch.ones_like(t))
    torch.testing.assert_close(of_x0**2 + of_x1**2 * sigma**2, torch.ones_like(t))
    # The skip is the best linear guess: what is left to predict does not correlate with x_t.
    torch.testing.assert_close(of_x0 * (1 - t) + of_x1 * t * sigma**2, torch.zeros_like(t))


def test_each_trial_is_a_valid_recipe_that_differs(plugins):
    text = RECIPE.read_text()
    recipes = {name: gt.parse_recipe(text, RECIPE, trial, plugins.registry) for name, trial in TRIALS.items()}
    dumped = [str(recipe) for recipe in recipes.values()]
    assert len(set(dumped)) == len(dumped) - 1  # the recipe as it is comes twice


@pytest.fixture
def dit():
    """A small DiT of six tokens, with weights that use everything."""
    with forked(0, "test"):
        dit = DiT(DiTConfig(hidden_size=16, depth=1, num_heads=2), DataSpec((2, 4, 6)))
        for weight in dit.parameters():
            nn.init.normal_(weight, std=0.2)
    return dit


def losses(plugins, name, backbone, **settings):
    entry = plugins.registry.get("objective", f"{EXPERIMENTS}/{name}")
    objective = entry.build(entry.config(**settings))
    x1 = torch.randn(4, 2, 4, 6, generator=torch.Generator().manual_seed(1))
    return objective.loss(backbone, Batch(x1), TrainingContext(BatchGenerator(0, "test", 0, 4))).loss


@pytest.mark.parametrize("name", ["preconditioned", "denoised"])
def test_all_tokens_as_a_subset_give_the_loss_of_all_tokens(plugins, dit, name):
    subset = losses(plugins, name, dit, tokens=6)
    torch.testing.assert_close(subset, losses(plugins, name, dit))


def test_logit_normal_times_have_the_mean_and_deviation_of_their_logits(plugins):
    entry = plugins.registry.get("objective", f"{EXPERIMENTS}/logit_normal")
    objective = entry.build(entry.config(times="stratified", mean=1.0, std=0.5))
    logits = objective.times(BatchGenerator(0, "test", 0, 2**16)).double().logit()
    logits = logits[logits.isfinite()]  # a stratum may be at 0
    assert logits.mean().item() == pytest.approx(1, abs=0.01)  # quantiles of 65,536 strata
    assert logits.std().item() == pytest.approx(0.5, rel=0.01)
