"""What may differ when a run goes on: its length, and what is not trained; the rest is refused unless forced."""

import hashlib
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from test_runs import StopAt, assert_equal_tensors, final_weights, smoke

import gentoolkit as gt
from gentoolkit.errors import InterruptedRun, NoCheckpointError, UsageError
from gentoolkit.kinds import KINDS
from gentoolkit.pipeline.changes import Changes
from gentoolkit.pipeline.work import Work
from gentoolkit.plugins import load_plugins
from gentoolkit.registry import Registry
from gentoolkit.training import newest_checkpoint

ADAMW = {"type": "adamw", "weight_decay": 1e-4, "betas": [0.9, 0.999]}
FAST = ("sample.per_class=1", "metrics=[]")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return gt.run(smoke(*FAST), tmp_path_factory.mktemp("trained"))


@pytest.fixture
def copy(trained, tmp_path):
    """A copy of the finished run."""
    return gt.open_run(shutil.copytree(trained.path, tmp_path / "smoke-1"))


def edit(run, **sections):
    data = yaml.safe_load(run.directory.resolved.read_text())
    for path, value in sections.items():
        section, _, field = path.partition("__")
        if field:
            data[section][field] = value
        else:
            data[section] = value
    run.directory.resolved.write_text(yaml.safe_dump(data))


def resume_events(run):
    return run.records("resumed")


@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        ("train__optimizer", ADAMW | {"learning_rate": 0.02}, "train.optimizer.learning_rate: 0.003 -> 0.02"),
        ("seed", 1, "seed: 0 -> 1"),
        ("train__batch_size", 8, "train.batch_size: 16 -> 8"),
        ("train__schedule", {"type": "cosine", "warmup_steps": 2}, "train.schedule.type: linear -> cosine"),
        ("train__ema", {"decay": 0.9}, "train.ema.decay: 0.8 -> 0.9"),
        ("dataset__noise_level", 0.2, "dataset.noise_level: 0.05 -> 0.2"),
        ("objective__stratified", False, "objective.stratified: True -> False"),
    ],
)
def test_an_edited_recipe_is_refused_with_each_difference(copy, field, value, line):
    before = {file: file.read_bytes() for file in copy.path.rglob("*") if file.is_file() and file.name != ".lock"}
    edit(copy, **{field: value, "train__clip_norm": 0.5, "sample__per_class": 2})
    with pytest.raises(UsageError) as caught:
        gt.resume(copy.path)
    lines = [text.strip() for text in str(caught.value).splitlines()]
    assert sorted(lines[1:-1]) == sorted([line, "train.clip_norm: 1.0 -> 0.5"])
    assert "--force" in lines[-1]
    assert caught.value.exit_code == 2
    changed = {file for file, data in before.items() if file.read_bytes() != data}
    assert changed == {copy.directory.resolved}


def with_version(version, *kinds):
    """Return the installed plugins, as if those of some kinds had another version."""
    plugins, registry = load_plugins(), Registry()
    registry.add(*(replace(e, version=version) if e.kind in kinds else e for e in plugins.registry.entries()))
    return replace(plugins, registry=registry)


def test_another_version_of_what_is_trained_is_refused(copy):
    newer = with_version("9", *(kind for kind in KINDS if kind not in ("sampler", "metric")))
    with pytest.raises(UsageError, match=r"version of gentoolkit: 0\.1\.0 -> 9"):
        gt.resume(copy.path, plugins=newer)
    gt.resume(copy.path, plugins=newer, force=True)
    assert resume_events(copy)[-1]["changes"] == {"version of gentoolkit": ["0.1.0", "9"]}


def test_another_version_of_a_sampler_is_not(copy):
    gt.resume(copy.path, plugins=with_version("9", "sampler"))
    assert "changes" not in resume_events(copy)[-1]


def test_what_is_not_trained_may_differ_and_is_recorded(copy):
    edit(copy, sample__per_class=2, train__checkpoint_every=4, name="smoke")
    gt.resume(copy.path, ["sampler.num_steps=3"])
    assert resume_events(copy)[-1]["changes"] == {
        "sample.per_class": [1, 2],
        "train.checkpoint_every": [5, 4],
        "sampler.num_steps": [4, 3],
    }
    assert yaml.safe_load(copy.directory.resolved.read_text())["sampler"]["num_steps"] == 3
    assert_equal_tensors(final_weights(copy), final_weights(gt.open_run(copy.path)))


@pytest.mark.parametrize(
    "overrides",
    [
        ["train.optimizer.learning_rate=0.01"],
        ["train.optimizer=muon"],
        ["train.ema=null"],
        ["train.batch_size=8"],
        ["seed=3", "dataset.noise_level=0.2"],
    ],
)
def test_force_goes_on_and_records_what_changed(copy, overrides):
    with pytest.raises(UsageError, match="--force"):
        gt.resume(copy.path, [*overrides, "train.steps=15"])
    resumed = gt.resume(copy.path, [*overrides, "train.steps=15"], force=True)
    (event,) = resume_events(resumed)
    names = ("train.steps", *(override.split("=")[0] for override in overrides))
    assert all(any(field.startswith(name) for field in event["changes"]) for name in names)
    assert all(field.startswith(names) for field in event["changes"])
    assert event["changes"]["train.steps"] == [12, 15]
    assert resumed.records("step")[-1]["step"] == 15
    assert "changed since step 12: " + overrides[0].split("=")[0] in resumed.directory.log.read_text()
    gt.resume(copy.path)  # its last checkpoint knows the new recipe


def test_an_average_that_is_begun_by_force_begins_as_the_weights(tmp_path):
    run = gt.run(smoke(*FAST, "train.ema=null"), tmp_path)
    weights = final_weights(run)["weights"]
    work = Work.prepare(smoke(*FAST, "train.ema.decay=0.9"))
    work.restore(newest_checkpoint(run.directory.checkpoints), run.directory, {"ema"})
    assert all(torch.equal(tensor, weights[name]) for name, tensor in work.state.ema.state_dict().items())


def test_a_longer_run_goes_on_with_the_schedule_of_its_new_length(copy, monkeypatch):
    progress = StopAt(None, None)
    longer = gt.resume(copy.path, ["train.steps=20"], progress=progress)
    rates = {record["step"]: record["learning_rate"] for record in longer.records("step")}
    assert rates.keys() == set(range(1, 21))
    # Linear to 0, after two steps of warm-up, from 0.003: of 12 steps first, of 20 from step 12 on.
    assert rates[12] == pytest.approx(0.003 * (1 - 9 / 10))
    assert rates[13] == pytest.approx(0.003 * (1 - 10 / 18))
    assert rates[20] == pytest.approx(0.003 * (1 - 17 / 18))
    said = "the linear schedule is recomputed for 20 steps, from step 12 on: the learning rate goes from 10.0% to 44.4%"
    assert any(said in line for line in progress.said)
    assert said in longer.directory.log.read_text()
    assert yaml.safe_load(longer.directory.resolved.read_text())["train"]["steps"] == 20
    assert resume_events(longer)[0]["changes"] == {"train.steps": [12, 20]}
    assert "train.steps: 12 -> 20" in longer.directory.log.read_text()


@pytest.mark.parametrize("stop", [13, 17])
def test_a_longer_run_that_is_interrupted_ends_as_one_that_is_not(trained, tmp_path, monkeypatch, stop):
    monkeypatch.setattr("gentoolkit.training.loop.FETCH_SECONDS", 0)  # so that progress shows every step
    whole = shutil.copytree(trained.path, tmp_path / "whole")
    parts = shutil.copytree(trained.path, tmp_path / "parts")
    gt.resume(whole, ["train.steps=20"])
    with pytest.raises(InterruptedRun):
        gt.resume(parts, ["train.steps=20"], progress=StopAt(stop, signal.SIGTERM))
    resumed = gt.resume(parts)
    assert_equal_tensors(final_weights(gt.open_run(whole)), final_weights(resumed))


def test_a_longer_run_that_died_before_its_first_checkpoint_goes_on(copy, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Work, "carry_out", lambda *arguments: None)
        gt.resume(copy.path, ["train.steps=15"])
    assert gt.resume(copy.path).records("step")[-1]["step"] == 15


@pytest.mark.parametrize("recipe", ["", "a: 1", "[", "train: {steps: x}", None, 3])
def test_a_checkpoint_without_a_recipe_is_none(copy, recipe):
    saved = newest_checkpoint(copy.directory.checkpoints)
    broken = replace(saved, numbers={**saved.numbers, "recipe": recipe})
    with pytest.raises(NoCheckpointError, match="the checkpoint of step 12 does not contain a valid recipe: "):
        Changes.between(broken, copy.recipe, copy.plugins.registry)


def test_a_run_cannot_end_before_where_it_is(copy):
    before = copy.directory.resolved.read_bytes()
    with pytest.raises(UsageError, match="the run is already at step 12, so it cannot end at step 11"):
        gt.resume(copy.path, ["train.steps=11"])
    assert copy.directory.resolved.read_bytes() == before


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_run_starts_from_the_averaged_weights_of_another(trained, tmp_path, checkpoint):
    saved = newest_checkpoint(trained.directory.checkpoints)
    folder = trained.directory.checkpoints / f"step-{saved.step}"
    rates = ["train.optimizer.learning_rate=1e-30", "train.optimizer.weight_decay=0.0"]
    short = ["train.steps=1", "train.schedule.warmup_steps=0", *rates]
    run = gt.run(smoke(*FAST, *short, f"init_from={folder if checkpoint else trained.path}"), tmp_path)
    assert_equal_tensors({"ema": final_weights(run)["weights"]}, {"ema": saved.tensors["ema"]})
    assert run.records("step")[-1]["step"] == 1
    resolved = yaml.safe_load(run.directory.resolved.read_text())["init_from"]
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert resolved == {"run": str(folder if checkpoint else trained.path), "step": saved.step, "sha256": digest}
    assert gt.resume(run.path).records("step")[-1]["step"] == 1


def test_weights_that_do_not_fit_are_named_one_by_one(trained, tmp_path):
    with pytest.raises(UsageError) as caught:
        gt.run(smoke(*FAST, "dataset.channels=2", f"init_from={trained.path}"), tmp_path / "runs")
    lines = [line.strip() for line in str(caught.value).splitlines()[1:]]
    assert sorted(lines) == [
        "backbone.head.bias: (4,) float32 -> (8,) float32",
        "backbone.head.weight: (4, 32) float32 -> (8, 32) float32",
        "backbone.patchify.weight: (32, 4) float32 -> (32, 8) float32",
    ]
    with pytest.raises(UsageError, match=r"backbone.blocks.1.attention.qkv.weight: missing -> \(96, 32\) float32"):
        gt.run(smoke(*FAST, "backbone.depth=2", f"init_from={trained.path}"), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_there_is_nothing_to_start_from(tmp_path):
    with pytest.raises(UsageError, match="is not a run"):
        gt.run(smoke(f"init_from={tmp_path}"), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_reference_starts_at_the_recipes_folder_and_may_pin_a_step_and_a_hash(trained, tmp_path):
    (tmp_path / "other").symlink_to(trained.path)
    text = (Path(__file__).parents[2] / "recipes" / "smoke.yaml").read_text() + "init_from: {run: other, step: 10}\n"
    (tmp_path / "r.yaml").write_text(text)
    recipe = gt.load_recipe(tmp_path / "r.yaml", [*FAST, "train.steps=3"])
    assert recipe.init_from.run == str(tmp_path / "other")
    run = gt.run(recipe, tmp_path / "runs")
    assert yaml.safe_load(run.directory.resolved.read_text())["init_from"]["step"] == 10
    wrong = gt.load_recipe(tmp_path / "r.yaml", [*FAST, f"init_from.sha256={'f' * 64}"])
    with pytest.raises(UsageError, match=r"init_from: the checkpoint .*step-10 has changed: its manifest has the hash"):
        gt.run(wrong, tmp_path / "runs")
    with pytest.raises(NoCheckpointError, match="step-4 is not a valid checkpoint"):
        gt.run(gt.load_recipe(tmp_path / "r.yaml", [*FAST, "init_from.step=4"]), tmp_path / "runs")


def test_a_run_resumes_after_the_run_that_it_started_from_is_gone(trained, tmp_path):
    other = shutil.copytree(trained.path, tmp_path / "other")
    run = gt.run(smoke(*FAST, "train.steps=3", f"init_from={other}"), tmp_path / "runs")
    shutil.rmtree(other)
    assert gt.resume(run.path).records("step")[-1]["step"] == 3
