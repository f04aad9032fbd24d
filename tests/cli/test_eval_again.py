"""`gentool eval` prints the figures of a run again, bit for bit, and says what differs if they are others."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gentoolkit.plugins import load_plugins
from gentoolkit.records import Evaluation, parse_record

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke.yaml"


def gentool(*arguments):
    command = [sys.executable, "-m", "gentoolkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def every_metric():
    """Every shipped metric in its smallest config, and one metric with each kind of features that can be built here."""
    entries = load_plugins().registry.entries
    for entry in entries("metric"):
        fast = {"max_iterations": 3} if entry.name == "c2st" else {}
        yield {"type": entry.name, **entry.component.tiny, **fast}
    for name in ("pca", "classifier"):
        yield {"type": "kernel_distance", "features": {"type": name, **_tiny(entries("features"), name)}}


def _tiny(entries, name):
    return next(entry.component.tiny for entry in entries if entry.name == name)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    metrics = "metrics=" + json.dumps(list(every_metric()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        more = ["dataset.num_samples=200", "evaluate.per_class=8", "evaluate.samples=80", "evaluate.resamples=4"]
        gentool("run", SMOKE, metrics, *more, "--out", folder, "--quiet")
        yield folder / "smoke-1"


def recorded(run):
    lines = (run / "metrics.jsonl").read_bytes().splitlines()
    return next(record for record in map(parse_record, reversed(lines)) if isinstance(record, Evaluation))


def test_every_figure_is_the_same_bit_for_bit_in_another_process(run):
    evaluation = recorded(run)
    names = {metric.name.partition("-")[0] for metric in evaluation.metrics}
    assert names == {entry.name for entry in load_plugins().registry.entries("metric")}
    assert json.loads(gentool("eval", run, "--json")) == json.loads(json.dumps(evaluation.content()))
    assert gentool("eval", run).splitlines()[-1] == "the same as the evaluation in metrics.jsonl, bit for bit"


def test_the_record_holds_what_the_figures_depend_on(run):
    evaluation = recorded(run)
    conditions = evaluation.conditions
    assert (conditions.seed, conditions.sample_seed, conditions.nfe, conditions.guidance) == (0, 0, 4, ())
    assert conditions.sampler == {"type": "euler", "num_steps": 4, "grid": {"type": "uniform"}}
    assert (conditions.evaluate["per_class"], conditions.evaluate["resamples"]) == (8, 4)
    assert {"python", "torch", "numpy", "scipy", "scikit-learn", "POT", "gentoolkit"} <= conditions.versions.keys()
    assert conditions.hardware["threads"] >= 1
    by_name = {metric.name: metric for metric in evaluation.metrics}
    assert by_name["sliced_wasserstein"].features is None
    assert by_name["sliced_wasserstein"].config == {"type": "sliced_wasserstein", "num_projections": 8, "seed": 0}
    learned = by_name["kernel_distance-classifier"].features
    assert learned.config["type"] == "classifier"
    assert "training data" in learned.preprocessing
    assert learned.sha256 != by_name["kernel_distance-pca"].features.sha256
    assert learned.package.startswith("gentoolkit ")
    assert all(m.pooled.value_low <= m.pooled.value <= m.pooled.value_high for m in evaluation.metrics if m.value_std)
    # 8 samples per class can't determine a covariance of 64 features.
    assert "can't determine the covariance" in by_name["frechet_distance-identity"].refused["0"]


def test_what_differs_is_named(run):
    evaluation = recorded(run)
    first, *rest = evaluation.metrics
    other = evaluation.model_copy(
        update={
            "conditions": evaluation.conditions.model_copy(update={"seed": 7}),
            "metrics": (first.model_copy(update={"value": -1.0}), *rest),
        }
    )
    assert evaluation.differences(evaluation) == []
    assert evaluation.differences(other) == ["seed: 7 became 0", first.name]
    before = evaluation.model_copy(update={"conditions": None, "metrics": ()})
    assert before.differences(evaluation)[-len(evaluation.metrics) :] == sorted(m.name for m in evaluation.metrics)
