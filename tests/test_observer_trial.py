"""A third party's observer of a few lines follows a run that is stopped and resumed, and keeps its contracts."""

import json
import os
import sys
from pathlib import Path

import pytest

import gentoolkit as gt
from gentoolkit.plugins import GROUP, load_plugins
from gentoolkit.testing import check

TRIALS = Path(__file__).parent / "third_party" / "trials"
RECIPE = """
version: 2
name: observed
dataset: {type: patterns, num_samples: 64}
backbone: {type: dit, hidden_size: 16, depth: 1, num_heads: 1, patch_size: 16}
objective: {type: flow_matching}
sampler: {type: euler, num_steps: 2}
observers: [{type: observer-trial/best, file: lowest.json}]
train: {steps: 12, batch_size: 16, optimizer: {learning_rate: 1e-2}, validate_every: 2, checkpoint_every: 3}
sample: {per_class: 1}
evaluate: {per_class: 4, validation_samples: 32}
"""


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    info = tmp_path / "site" / "observer_trial-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: observer-trial\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nobserver-trial = observer_trial\n")
    for folder in (tmp_path / "site", TRIALS):
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # for the contracts that ask a fresh process
    yield load_plugins()
    sys.modules.pop("observer_trial", None)


def test_it_has_at_most_forty_lines():
    assert len((TRIALS / "observer_trial.py").read_text().splitlines()) <= 40


def test_it_writes_the_lowest_validation_loss_also_of_a_resumed_run(plugins, tmp_path):
    run = gt.run(gt.parse_recipe(RECIPE, "r.yaml", registry=plugins.registry), tmp_path / "runs", plugins=plugins)
    gt.resume(run.path, ["train.steps=16"], plugins=plugins)
    lowest = min(run.records("validation"), key=lambda record: record["loss"])
    assert json.loads((run.path / "lowest.json").read_text()) == {"loss": lowest["loss"], "step": lowest["step"]}


def test_it_keeps_its_contracts(plugins):
    outcomes = check("observer-trial", plugins)
    assert {outcome.contract for outcome in outcomes} >= {"observer.events", "observer.directory", "observer.state"}
    assert {outcome.status for outcome in outcomes} == {"passed"}
