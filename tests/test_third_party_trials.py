"""Parts that researchers change, each a plugin of one short file from outside: checked, and trained by a recipe."""

import sys
from pathlib import Path

import pytest

import gentoolkit as gt
from gentoolkit.plugins import GROUP, load_plugins
from gentoolkit.testing import check_entry

TRIALS = Path(__file__).parent / "third_party" / "trials"
FILES = sorted(file.stem for file in TRIALS.glob("*_trial.py"))
BASE = """
version: 2
name: trial
dataset: {type: patterns, num_samples: 64, image_size: 4, channels: 1}
backbone: {type: mlp, width: 32}
objective: flow_matching
sampler: {type: euler, num_steps: 4}
metrics: sliced_wasserstein
train: {steps: 20, batch_size: 16, condition_dropout: 0.1}
sample: {per_class: 2}
evaluate: {per_class: 4, validation_samples: 16}
"""
#: What a recipe changes to use each of them.
CHANGES = {
    "grid_trial": ["sampler.grid=trials/karras"],
    "guidance_trial": ["guidance=trials/cfg_zero"],
    "mean_flow_trial": ["objective=trials/mean_flow", "sampler={type: trials/jump, num_steps: 2}"],
    "observer_trial": ["observers=trials/best", "train.validate_every=10"],
    "path_trial": ["objective.path=trials/trigonometric"],
    "prediction_trial": ["objective.prediction=trials/v", "objective.error=output", "objective.path=cosine"],
    "times_trial": ["objective.times={type: trials/mode, s: 0.8}"],
    "weighting_trial": [
        "objective.weighting={type: trials/min_snr, gamma: 5.0}",
        "objective.error=denoised",
        "objective.prediction=data",
    ],
}


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """The installed plugins, with each trial as an entry point of the distribution `trials`."""
    info = tmp_path / "trials-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trials\nVersion: 1.0\n")
    points = "".join(f"{name} = {name}\n" for name in FILES)
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{points}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(TRIALS)
    yield load_plugins()
    for name in [name for name, module in sys.modules.items() if str(TRIALS) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def test_each_is_a_short_file():
    assert set(FILES) == set(CHANGES)
    for file in TRIALS.glob("*.py"):
        assert len(file.read_text().splitlines()) <= 40, file.name


@pytest.mark.parametrize("name", FILES)
def test_it_trains_by_a_recipe(plugins, tmp_path, name):
    assert [bad for bad in plugins.quarantined if bad.distribution == "trials"] == []
    recipe = gt.parse_recipe(BASE, "trial.yaml", CHANGES[name], plugins.registry)
    run = gt.run(recipe, tmp_path / "runs", plugins=plugins)
    assert "trials" in run.directory.origin()["versions"]
    steps = run.records("step")
    assert len(steps) == 20
    assert all(step["loss"] > 0 for step in steps)
    assert run.sample(per_class=2).x1.isfinite().all()


#: A mean flow's loss is that of an average velocity, which the contracts for objectives, made for one time, don't know.
CHECKED = [name for name in FILES if name != "mean_flow_trial"]


@pytest.mark.parametrize("name", CHECKED)
def test_it_keeps_its_contracts(plugins, name):
    entries = [e for e in plugins.registry.entries() if e.config.__module__ == name]
    assert entries
    for entry in entries:
        outcomes = [o for o in check_entry(entry, plugins.registry) if o.contract != "any.no_torch"]
        assert [o.message for o in outcomes if o.status == "failed"] == []


def test_a_flow_map_jumps_where_its_field_would_go_in_many_small_steps(plugins, tmp_path):
    """After some training, one jump ends nearer to twenty Euler steps than half of the way that these go."""
    changes = [*CHANGES["mean_flow_trial"], "train.steps=300", "train.optimizer.learning_rate=3e-3"]
    recipe = gt.parse_recipe(BASE, "trial.yaml", changes, plugins.registry)
    run = gt.run(recipe, tmp_path / "runs", plugins=plugins)
    one = gt.load_model(run.path, ["sampler.num_steps=1"], plugins=plugins).sample(per_class=8).x1
    many = gt.load_model(run.path, ["sampler={type: euler, num_steps: 20}"], plugins=plugins).sample(per_class=8).x1
    start = gt.load_model(run.path, ["sampler.num_steps=1"], plugins=plugins).sample(per_class=8, trajectory=True)
    moved = (start.trajectory[0] - many).square().mean().sqrt()
    assert (one - many).square().mean().sqrt() < 0.5 * moved
