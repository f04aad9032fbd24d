"""Packages from outside are installed, listed, checked, named in recipes and run, like our own plugins.

`gentoolkit-heun` is a package as anyone would write it. `trials` has a plugin for each part of a
model; see `test_third_party_trials.py`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tests/third_party/gentoolkit-heun"
NAME = "gentoolkit-heun/heun"
TRIALS = ROOT / "tests/third_party/trials"


def call(*command, cwd):
    """Run a command in a directory outside the checkout."""
    # No PYTHONPATH: what an environment sees is what is installed in it.
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    environment = {**kept, "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=3600
    )


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """A copy of the package, outside the checkout, beside one of `trials`."""
    folder = tmp_path_factory.mktemp("outside")
    shutil.copytree(TRIALS, folder / TRIALS.name)
    return shutil.copytree(PACKAGE, folder / PACKAGE.name)


@pytest.fixture(scope="module")
def python(outside):
    """The interpreter of an environment with both packages installed, that sees all packages of this one."""
    directory = outside.parent / "env"
    venv.create(directory, with_pip=False, symlinks=os.name != "nt")
    python = directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    paths = {"base": str(directory), "platbase": str(directory)}
    site_packages = Path(sysconfig.get_path("purelib", scheme="venv", vars=paths))
    # addsitedir, since our own packages may be installed in editable mode: by a .pth file too.
    parents = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(parents)]
    (site_packages / "parent.pth").write_text("".join(lines))
    pip = ["-m", "pip", "--python", python, "install", "--no-build-isolation", "--no-deps", "--no-index"]
    done = call(sys.executable, *pip, outside, outside.parent / TRIALS.name, cwd=outside)
    assert done.returncode == 0, done.stdout + done.stderr
    return python


@pytest.fixture
def recipe(tmp_path):
    """The smoke recipe with the package's sampler."""
    smoke = (ROOT / "recipes/smoke.yaml").read_text()
    text, replaced = re.subn("(?m)^sampler:.*$", f"sampler: {{type: {NAME}, num_steps: 2}}", smoke)
    assert replaced == 1
    file = tmp_path / "heun.yaml"
    file.write_text(text)
    return file


def gentool(python, *arguments, cwd):
    return call(python, "-m", "gentoolkit", *arguments, cwd=cwd)


def test_both_are_listed(python, tmp_path):
    done = gentool(python, "plugins", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    plugins = json.loads(done.stdout)["plugins"]
    found = [plugin for plugin in plugins if plugin["distribution"] == "gentoolkit-heun"]
    assert [(plugin["version"], plugin["components"]) for plugin in found] == [
        ("0.1.0", [{"kind": "sampler", "type": NAME}])
    ]
    trials = {plugin["name"] for plugin in plugins if plugin["distribution"] == "trials"}
    assert trials == {file.stem for file in TRIALS.glob("src/trials/[a-z]*.py")}


def test_a_recipe_that_names_it_runs(python, recipe, tmp_path):
    done = gentool(python, "run", recipe, "--out", tmp_path / "runs", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert yaml.safe_load((run / "resolved.yaml").read_text())["sampler"] == {
        "type": NAME, "num_steps": 2, "grid": {"type": "uniform"},
    }  # fmt: skip
    assert "gentoolkit-heun" in (run / "provenance.json").read_text()
    assert (run / "report.html").stat().st_size > 0


def test_its_own_test_of_the_contracts_passes(python, outside):
    done = call(python, "-m", "pytest", "-rA", "-p", "no:cacheprovider", cwd=outside)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED tests/test_contracts.py::test_contracts[heun-sampler.order]" in done.stdout


def test_it_passes_the_contracts_without_pytest(python, tmp_path):
    done = gentool(python, "check", "gentoolkit-heun", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = {outcome["contract"]: outcome["status"] for outcome in json.loads(done.stdout)}
    assert outcomes["sampler.order"] == "passed"
    assert set(outcomes.values()) == {"passed"}


def test_without_the_package_the_recipe_says_what_to_install(recipe, tmp_path):
    done = gentool(sys.executable, "run", recipe, "--out", tmp_path / "runs", cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install gentoolkit-heun" in done.stderr
    assert f"{recipe}:" in done.stderr
    assert not (tmp_path / "runs").exists()
