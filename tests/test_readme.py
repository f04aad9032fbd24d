"""What the README shows is what happens."""

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from gentoolkit.distributions import CORE
from gentoolkit.errors import RecipeError
from gentoolkit.plugins import GROUP, load_plugins
from gentoolkit.recipe import load_recipe, parse_recipe
from gentoolkit.testing import check

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_recipe_is_valid():
    (recipe,) = blocks("yaml")
    assert parse_recipe(recipe).name == "my_first"


def test_the_mistakes_are_told_as_shown(tmp_path, monkeypatch):
    (recipe,), (shown,) = blocks("yaml"), blocks("console")
    broken = recipe.replace("hidden_size", "hiden_size").replace("{type: flow_matching}", "{type: flow_matchin}")
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text(broken.replace("num_steps: 20", "num_steps: 0"))
    shipped = load_plugins(point for point in entry_points(group=GROUP) if point.dist and point.dist.name == CORE)
    with pytest.raises(RecipeError) as told:
        load_recipe("r.yaml", registry=shipped.registry)
    assert shown == f"$ gentool validate r.yaml\nerror: {told.value}\n"


def test_the_plugin_keeps_its_contracts(tmp_path, monkeypatch):
    declaration, sampler = (block for block in blocks("python") if block.startswith("# gentoolkit_midpoint/"))
    package = tmp_path / "gentoolkit_midpoint"
    package.mkdir()
    (package / "__init__.py").write_text(declaration)
    (package / "sampler.py").write_text(sampler)
    info = tmp_path / "gentoolkit_midpoint-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gentoolkit-midpoint\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[gentoolkit.plugins.v1]\nmidpoint = gentoolkit_midpoint\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # for the contracts that ask a fresh process
    outcomes = check("gentoolkit-midpoint", load_plugins())
    assert {outcome.contract for outcome in outcomes} >= {"sampler.order", "sampler.times"}
    assert [outcome for outcome in outcomes if outcome.status not in ("passed", "skipped")] == []


def test_every_recipe_named_exists_and_is_valid():
    names = set(re.findall(r"recipes/\w+\.yaml", README))
    assert names == {f"recipes/{file.name}" for file in (ROOT / "recipes").glob("*.yaml")}
    for name in names:
        load_recipe(ROOT / name)
