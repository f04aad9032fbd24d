"""What the README shows is what happens."""

import re
import shlex
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import gentoolkit as gt
from building import own_data
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


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return what installs a package of the README, found by its folder's name."""

    def install(package):
        for block in blocks("python"):
            if found := re.match(rf"# ({package}/\w+\.py)", block):
                (tmp_path / package).mkdir(exist_ok=True)
                (tmp_path / found[1]).write_text(block)
        (toml,) = (block for block in blocks("toml") if f'= "{package}"' in block)
        project = tomllib.loads(toml)["project"]
        ((group, points),) = project["entry-points"].items()
        info = tmp_path / f"{package}-{project['version']}.dist-info"
        info.mkdir()
        name, version = project["name"], project["version"]
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = "".join(f"{point} = {value}\n" for point, value in points.items())
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # for the contracts that ask a fresh process

    return install


def test_the_plugin_keeps_its_contracts(installed):
    installed("gentoolkit_midpoint")
    outcomes = check("gentoolkit-midpoint", load_plugins())
    assert {outcome.contract for outcome in outcomes} >= {"sampler.order", "sampler.times"}
    assert [outcome for outcome in outcomes if outcome.status not in ("passed", "skipped")] == []


def test_every_recipe_named_exists_and_is_valid():
    names = set(re.findall(r"recipes/\w+\.yaml", README))
    assert names == {f"recipes/{file.name}" for file in (ROOT / "recipes").glob("*.yaml")}
    for name in names:
        load_recipe(ROOT / name, own_data(name))


def test_the_variants_of_the_objective_train(tmp_path):
    text = README.replace("\\\n", " ")  # lines that a backslash continues
    commands = re.findall(r"gentool run recipes/smoke\.yaml (objective.*)", text)
    assert len(commands) == 2
    for command in commands:
        overrides = [*shlex.split(command), "train.steps=3", "metrics=[]"]
        run = gt.run(load_recipe(ROOT / "recipes" / "smoke.yaml", overrides), tmp_path)
        assert run.sample(per_class=1).x1.isfinite().all()
