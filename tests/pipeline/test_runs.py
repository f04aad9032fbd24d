"""Runs from recipe to report, through the public Python API, on the smoke recipe."""

import json
import math
import signal
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import gentoolkit as gt
from gentoolkit.errors import InterruptedRun, UsageError
from gentoolkit.interrupts import StopSignal
from gentoolkit.pipeline.evaluate import reference_field
from gentoolkit.randomness import normal_rows
from gentoolkit.records import Step
from gentoolkit.rundir import RunDir
from gentoolkit.sampling import sample_rows
from gentoolkit.training import checkpoints, newest_checkpoint, train
from gentoolkit_patterns.dataset import Patterns

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke.yaml"


def smoke(*overrides):
    return gt.load_recipe(SMOKE, overrides)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return gt.run(smoke(), tmp_path_factory.mktemp("runs"))


def final_weights(run):
    return newest_checkpoint(run.directory.checkpoints).tensors


def assert_equal_tensors(a, b):
    assert a.keys() == b.keys()
    for group in a:
        assert a[group].keys() == b[group].keys()
        for name in a[group]:
            assert torch.equal(a[group][name], b[group][name]), (group, name)


def test_the_directory_holds_what_the_design_says(finished):
    names = {file.name for file in finished.path.iterdir()}
    assert names >= {
        "recipe.yaml",
        "resolved.yaml",
        "provenance.json",
        "metrics.jsonl",
        "checkpoints",
        "samples",
        "images",
        "report.html",
        "log.txt",
    }
    assert (finished.path / "recipe.yaml").read_text() == SMOKE.read_text()
    assert {file.name for file in (finished.path / "images").iterdir()} >= {"loss.png", "samples.png", "trajectory.gif"}
    assert sorted(file.name for file in (finished.path / "checkpoints").iterdir()) == ["step-10", "step-12"]


def test_provenance_says_what_made_the_run(finished):
    origin = json.loads((finished.path / "provenance.json").read_text())
    assert origin["seed"] == 0
    assert origin["versions"].keys() >= {"python", "torch", "gentoolkit", "numpy"}
    assert origin["precision"] in ("fp32", "bf16")
    assert len(origin["recipe_sha256"]) == 64
    assert origin["hardware"]["cores"] >= 1


def test_records_have_steps_epochs_validations_and_figures(finished):
    assert [record["step"] for record in finished.records("step")] == list(range(1, 13))
    assert [record["epoch"] for record in finished.records("epoch")] == [1, 2, 3]
    assert [record["step"] for record in finished.records("validation")] == [6]
    evaluation = finished.summary()["evaluation"]
    assert [metric["name"] for metric in evaluation["metrics"]] == [
        "sliced_wasserstein",
        "class_mean_rmse",
        "residual_std_ratio",
    ]
    assert all(metric["per_class"].keys() == {"0", "1", "2", "3"} for metric in evaluation["metrics"])
    assert evaluation["validation"]["loss"] > evaluation["validation"]["reference"]["loss"] > 0
    assert all(metric["pooled"]["value"] > 0 for metric in evaluation["metrics"])
    assert (evaluation["samples"], evaluation["samples_per_class"], evaluation["left_out"]) == (16, 4, {})
    assert all(
        row["value_std"] > 0 for m in evaluation["metrics"] for row in (m, m["pooled"], *m["per_class"].values())
    )


def test_the_evaluation_takes_the_samples_that_are_at_hand(finished):
    model = finished.model()
    drawn = model.sample(per_class=3)
    drawn.x1.mul_(100)
    far, near = model.evaluate(drawn).metrics[0], model.evaluate().metrics[0]
    assert far.value > 10 * near.value
    assert far.reference == near.reference
    other_seed = model.sample(per_class=3, seed=5)
    other_seed.x1.mul_(100)
    assert model.evaluate(other_seed).metrics[0] == near


def test_a_network_that_is_the_exact_field_scores_what_the_exact_field_scores(finished, monkeypatch):
    model = finished.model()
    exact = reference_field(model).field
    monkeypatch.setattr(type(model), "field", lambda self: exact)
    monkeypatch.setattr(type(model), "sampled_field", lambda self, counting=None: exact)
    evaluation = model.evaluate()
    rows = [row for m in evaluation.metrics for row in (m, m.pooled, *m.per_class.values())]
    assert all((row.value, row.value_std) == (row.reference, row.reference_std) for row in rows)
    reference = evaluation.validation.reference
    assert reference.loss == evaluation.validation.loss
    assert (reference.excess, reference.excess_error) == (0, 0)


def test_the_exact_field_draws_with_the_recipes_sampler_from_the_noise_of_the_samples(finished):
    figures = {m["name"]: m["per_class"] for m in finished.summary()["evaluation"]["metrics"]}
    model = finished.model()
    field, labels = reference_field(model).field, torch.arange(4).repeat_interleave(4)
    x = normal_rows(0, "source", sample_rows(labels.numpy()), (1, 8, 8))
    for k in range(4):  # Euler, by hand
        x = x + field.velocity(x, torch.full((16,), k / 4), labels) / 4
    held_out = model.splits["held_out"].batch(np.arange(16))
    for label in range(4):
        generated, real = x[labels == label], held_out.x1[label::4]
        ratio = (generated.var(dim=0).mean() / real.var(dim=0).mean()).sqrt().item()
        rmse = (generated.mean(dim=0) - real.mean(dim=0)).square().mean().sqrt().item()
        # float32 states of size 4, four steps: errors of some 1e-6, relative to deviations of 0.01 and more.
        assert figures["residual_std_ratio"][str(label)]["reference"] == pytest.approx(ratio, rel=1e-3)
        assert figures["class_mean_rmse"][str(label)]["reference"] == pytest.approx(rmse, rel=1e-3)


def test_under_guidance_only_the_validation_has_the_exact_field(finished):
    evaluation = gt.load_model(finished.path, ["guidance={type: cfg, scale: 2.0}"]).evaluate()
    assert evaluation.reference is None
    assert [metric.reference for metric in evaluation.metrics] == [None] * 3
    assert evaluation.validation.reference.name == "exact field"


def test_what_compares_on_one_path_only_names_its_path(finished):
    for event in ("step", "epoch", "validation"):
        assert {record["path"] for record in finished.records(event)} == {"linear"}
    assert finished.summary()["evaluation"]["validation"]["path"] == "linear"
    assert finished.directory.status()["path"] == "linear"


def test_a_class_has_the_same_samples_whichever_classes_are_drawn_beside_it(finished):
    everything, one = finished.sample(), finished.sample(per_class=3, classes=[2])
    # Equal noise, and a network that sees other samples beside it: equal but for rounding.
    torch.testing.assert_close(one.x1[:2], everything.x1[everything.condition == 2])


def test_samples_are_kept_and_come_again(finished):
    kept = safetensors.torch.load_file(finished.path / "samples" / "samples.safetensors")
    again = finished.sample()
    assert kept["condition"].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    torch.testing.assert_close(kept["x1"], again.x1)
    with safetensors.safe_open(finished.path / "samples" / "samples.safetensors", "pt") as file:
        assert file.metadata().items() >= {"recipe": "smoke", "step": "12", "seed": "0", "guidance": "[]"}.items()
    assert repr(again) == "Samples(8 of shape (1, 8, 8), seed 0)"


def test_a_sample_stays_when_more_are_drawn(finished):
    few, many = finished.sample(1, seed=3), finished.sample(3, seed=3)
    # Chunks of another size round differently; the states are of size 1 to 3 over 4 steps.
    torch.testing.assert_close(few.x1, many.x1[:4], rtol=1e-4, atol=1e-4)


def test_chosen_classes_only(finished):
    assert finished.sample(2, classes=[3, 1]).condition.tolist() == [3, 1, 3, 1]


@pytest.mark.parametrize(("classes", "words"), [([4], "no class 4"), ([-1], "no class -1")])
def test_a_class_that_does_not_exist_is_an_error(finished, classes, words):
    with pytest.raises(UsageError, match=words):
        finished.sample(1, classes=classes)


def test_the_picture_shows_in_a_notebook(finished):
    assert finished.show().format == "PNG"
    assert finished.show(finished.sample(1, classes=[2])).size[1] > 0


def test_one_recipe_gives_the_same_run_twice(finished, tmp_path):
    again = gt.run(smoke(), tmp_path)
    assert_equal_tensors(final_weights(finished), final_weights(again))
    assert finished.records("step") == again.records("step")
    assert finished.records("evaluation") == again.records("evaluation")


def test_directories_are_numbered_and_never_reused(tmp_path):
    (tmp_path / "smoke-1").mkdir()
    run = gt.run(smoke("train.steps=3"), tmp_path)
    assert run.path.name == "smoke-2"
    assert list((tmp_path / "smoke-1").iterdir()) == []


class StopAt:
    """Sends this process a signal when the training has shown so many steps."""

    def __init__(self, step, number):
        self.step, self.number, self.said = step, number, []

    def start(self, stage, total, done=0):
        pass

    def advance(self, done, note=""):
        if done == self.step:
            signal.raise_signal(self.number)

    def say(self, message):
        self.said.append(message)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_a_resumed_run_equals_an_uninterrupted_one(finished, tmp_path, monkeypatch, number, code):
    monkeypatch.setattr("gentoolkit.training.loop.FETCH_SECONDS", 0)  # so that progress shows every step
    with pytest.raises(
        InterruptedRun, match=r"stopped at step 7 of 12 and saved; .*gentool resume .*smoke-1"
    ) as stopped:
        gt.run(smoke(), tmp_path, progress=StopAt(7, number))
    assert stopped.value.exit_code == code
    resumed = gt.resume(tmp_path / "smoke-1")
    assert_equal_tensors(final_weights(finished), final_weights(resumed))
    assert resumed.records("step") == finished.records("step")
    assert resumed.records("epoch") == finished.records("epoch")
    assert resumed.records("evaluation") == finished.records("evaluation")


def test_a_crash_loses_only_what_came_after_the_checkpoint(finished, tmp_path, monkeypatch):
    """As if the power went: nothing is saved at the end, and the log has lines that no checkpoint knows."""

    class PowerCutError(Exception):
        pass

    class Cut(StopAt):
        def advance(self, done, note=""):
            if done == self.step:
                raise PowerCutError

    monkeypatch.setattr("gentoolkit.training.loop.FETCH_SECONDS", 0)
    with pytest.raises(PowerCutError):
        gt.run(smoke(), tmp_path, progress=Cut(8, None))
    directory = RunDir(tmp_path / "smoke-1")
    with directory.metrics.open("a") as file:
        file.write('{"event": "st')  # torn
    resumed = gt.resume(directory.path)
    assert_equal_tensors(final_weights(finished), final_weights(resumed))
    assert resumed.records("step") == finished.records("step")


def test_a_finished_run_resumes_to_the_same_figures(finished, tmp_path):
    run = gt.run(smoke(), tmp_path)
    before = run.records()
    gt.resume(run.path, command=["again"])
    (resumed,) = run.records("resumed")
    assert (resumed["step"], resumed["command"]) == (12, ["again"])
    apart = ("finished", "resumed")
    assert [r for r in run.records() if r["event"] not in apart] == [r for r in before if r["event"] not in apart]


def test_a_checkpoint_folder_is_enough_by_itself(finished, tmp_path):
    copy = tmp_path / "step-12"
    copy.mkdir()
    for file in (finished.directory.checkpoints / "step-12").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    torch.testing.assert_close(gt.load_model(copy).sample(1).x1, finished.sample(1).x1)


def test_sampler_settings_can_be_changed_afterwards(finished):
    model = gt.load_model(finished.path, ["sampler.num_steps=7", "guidance={type: cfg, scale: 2.0}"])
    samples = model.sample(1, trajectory=True)
    assert len(samples.times) == 8
    assert not torch.allclose(samples.x1, finished.sample(1).x1)


def test_a_run_in_use_is_not_written_twice(finished):
    with finished.directory.locked(), pytest.raises(gt.GentoolError, match="in use by another process"):
        gt.resume(finished.path)


def test_records_are_json_whatever_the_numbers(tmp_path):
    run = RunDir.create(tmp_path, "run")
    run.append(Step(step=1, loss=math.nan, by_t=[1.0, -math.inf, None], deep={"a": (math.inf, 2)}))

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    record = json.loads(run.metrics.read_text(), parse_constant=refuse)
    assert (record["loss"], record["by_t"], record["deep"]) == (None, [1.0, None, None], {"a": [None, 2]})


def test_each_split_is_built_once_and_a_picture_of_the_samples_drawn_once(tmp_path, monkeypatch):
    built, whole = [], Patterns.__init__

    def count(self, config, split, seed):
        built.append(split)
        whole(self, config, split, seed)

    monkeypatch.setattr(Patterns, "__init__", count)
    run = gt.run(smoke("train.steps=2", "train.schedule.warmup_steps=0", "train.validate_every=1"), tmp_path)
    assert sorted(built) == ["held_out", "train"]
    assert [file.parent.name for file in run.path.rglob("samples.png")] == ["images"]


def test_a_checkpoint_is_hashed_when_it_is_written_and_once_more_to_verify_it(tmp_path, monkeypatch):
    read, whole = [], checkpoints.verified_files

    def count(folder, manifest):
        read.append(folder.name)
        return whole(folder, manifest)

    monkeypatch.setattr(checkpoints, "verified_files", count)
    changes = ["train.steps=4", "train.checkpoint_every=1", "train.schedule.warmup_steps=0"]
    run = gt.run(smoke(*changes), tmp_path)
    assert read == [f"step-{step}" for step in (1, 2, 3, 4)]
    read.clear()
    gt.resume(run.path, ["train.steps=6"])
    assert read == ["step-4", "step-5", "step-6"]


def test_no_run_there_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="is not a run"):
        gt.open_run(tmp_path)


def test_the_report_can_be_drawn_again(finished):
    directory = finished.directory
    before = {file.name: file.read_bytes() for file in (directory.images / "loss.png", directory.report)}
    files = [directory.report, directory.images / "loss.png", directory.images / "samples.png"]
    for file in (*files, directory.images / "trajectory.gif"):
        file.unlink()
    assert finished.report() == directory.report
    assert (directory.images / "samples.png").exists()
    assert (directory.images / "trajectory.gif").exists()
    assert {file.name: file.read_bytes() for file in files[1::-1]} == before


@pytest.mark.filterwarnings("default")  # the file is not what the checkpoint recorded
def test_an_evaluation_by_an_earlier_version_is_left_out_of_the_page(tmp_path):
    run = gt.run(smoke("train.steps=2", "train.schedule.warmup_steps=0"), tmp_path)
    records = [
        {name: value for name, value in record.items() if record["event"] != "evaluation" or name != "reference"}
        for record in run.records()
    ]
    run.directory.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert "Generated and real samples compared" not in run.report().read_text()
    gt.resume(run.path)
    assert "Generated and real samples compared" in run.directory.report.read_text()


def test_ctrl_c_after_the_training_says_how_to_go_on(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("gentoolkit.pipeline.work.draw_pictures", lambda *_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRun, match="gentool resume") as stopped:
        gt.run(smoke(), tmp_path)
    assert stopped.value.exit_code == 130
    monkeypatch.undo()
    assert gt.resume(tmp_path / "smoke-1").records("evaluation") == finished.records("evaluation")


def test_a_signal_just_after_the_last_step_is_heard(tmp_path, monkeypatch):
    def train_then_signal(*arguments):
        done = train(*arguments)
        signal.raise_signal(signal.SIGTERM)
        return done

    monkeypatch.setattr("gentoolkit.pipeline.work.train", train_then_signal)
    with pytest.raises(InterruptedRun, match="gentool resume") as stopped:
        gt.run(smoke("train.steps=3"), tmp_path)
    assert stopped.value.exit_code == 143


def test_two_signals_before_the_first_checkpoint_promise_nothing(tmp_path, monkeypatch):
    class Twice(StopAt):
        def advance(self, done, note=""):
            if done == self.step:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("gentoolkit.training.loop.FETCH_SECONDS", 0)
    with pytest.raises(InterruptedRun, match=r"before the first checkpoint; nothing is saved.*gentool run .*resolved"):
        gt.run(smoke(), tmp_path, progress=Twice(3, None))
    with pytest.raises(InterruptedRun, match=r"step-5 is saved; continue with: gentool resume .*smoke-2"):
        gt.run(smoke(), tmp_path, progress=Twice(8, None))


def test_a_second_signal_acts_at_once():
    with StopSignal() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
