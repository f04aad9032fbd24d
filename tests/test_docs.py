"""The plugins in docs/plugins.md pass every contract, train, sample and add their command."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import gentoolkit as gt
from gentoolkit.kinds import KINDS
from gentoolkit.plugins import load_plugins
from gentoolkit.protocols import TrainedParameter
from gentoolkit.testing import check

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


SMALLEST = PAGE.partition("## All kinds of component")[0]


def blocks(language, page=PAGE):
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@pytest.fixture
def page():
    """The part of the page whose package is installed."""
    return PAGE


@pytest.fixture
def site(page, tmp_path, monkeypatch):
    """A folder on the path with the page's package, installed as its pyproject says."""
    for block in blocks("python", page):
        file = tmp_path / block.split()[1]
        file.parent.mkdir(exist_ok=True)
        file.write_text(block)
    tables = [tomllib.loads(block)["project"] for block in blocks("toml", page)]
    info = tmp_path / "my_parts-0.1.dist-info"
    info.mkdir()
    name, version = tables[0]["name"], tables[0]["version"]
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = {group: points for table in tables for group, points in table["entry-points"].items()}
    lines = [
        line for group, points in groups.items() for line in (f"[{group}]", *(f"{k} = {points[k]}" for k in points))
    ]
    (info / "entry_points.txt").write_text("\n".join([*lines, ""]))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))  # for fresh processes
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "my_parts"]:
        del sys.modules[name]


@pytest.mark.parametrize("page", [SMALLEST])
def test_the_smallest_plugin_keeps_its_contracts_and_its_recipe_is_valid(site, page):
    plugins = load_plugins()
    assert [entry.name for entry in plugins.registry.entries() if entry.distribution == "my-parts"] == ["my-parts/heun"]
    assert {outcome.status for outcome in check("my-parts", plugins)} == {"passed"}
    command = next(line for line in blocks("sh", page)[0].splitlines() if line.startswith("gentool run"))
    _, _, recipe, override = shlex.split(command)
    assert gt.load_recipe(ROOT / recipe, [override], plugins.registry).resolved()["sampler"]["type"] == "my-parts/heun"


def test_a_component_of_each_kind_keeps_all_its_contracts(site):
    plugins = load_plugins()
    outcomes = check("my-parts", plugins)
    entries = [entry for entry in plugins.registry.entries() if entry.distribution == "my-parts"]
    assert sorted(entry.kind for entry in entries) == sorted(KINDS)
    assert [outcome for outcome in outcomes if outcome.status not in ("passed", "skipped")] == []
    assert {outcome.contract for outcome in outcomes if outcome.status == "skipped"} == {
        "backbone.forward_derivatives",
        "backbone.second_time",
        "backbone.tokens",
        "features.classes",
        "metric.invariances",
        "objective.parameters",
        "source.gaussian",
    }


def test_its_recipe_trains_and_makes_its_picture(site):
    (recipe,) = blocks("yaml")
    plugins = load_plugins()
    few = ["train.steps=20", "sample.per_class=20", "evaluate.per_class=20", "evaluate.validation_samples=20"]
    run = gt.run(gt.parse_recipe(recipe, "moons.yaml", few, plugins.registry), site / "runs", plugins=plugins)
    assert (run.directory.images / "samples.png").exists()
    assert run.summary()["evaluation"]["step"] == 20
    assert (Path(run.path) / "pulse.txt").read_text() == "finished"
    verb = [sys.executable, "-m", "gentoolkit", "count", str(site / "runs")]
    assert subprocess.run(verb, capture_output=True, text=True, check=True).stdout == "1\n"


def test_an_optimizer_in_a_slot_is_built_for_the_parameters_it_is_given(site):
    parts = [TrainedParameter("bias", None, 0, None), TrainedParameter("weight", None, 1, None)]
    two = import_module("my_parts.two").Two(None, parts, rest=lambda parameters: parameters)
    assert two.rest == parts[:1]


def test_its_test_file_has_a_case_for_each_contract(site):
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=site, capture_output=True, text=True, check=False)
    assert "test_contracts[moons-dataset.spec]" in done.stdout, done.stdout + done.stderr
