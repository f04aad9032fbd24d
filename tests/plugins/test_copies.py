"""A shipped plugin's folder, copied out and renamed, is a plugin of its own: nothing in it names the original."""

import shutil
import sys
from dataclasses import replace
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from building import registry
from gentoolkit.errors import UsageError
from gentoolkit.plugins import GROUP, load_plugins
from gentoolkit.testing import Case

PLUGINS = Path(__file__).parents[2] / "plugins"
SHIPPED = sorted(folder.name for folder in PLUGINS.glob("gentoolkit_*"))


@pytest.fixture(params=SHIPPED)
def copy(request, tmp_path, monkeypatch):
    """The name of a copied package, installed in tmp_path, while the original can't be imported."""
    registry()  # loads what slots need, while all of it can be imported
    original, name = request.param, f"copied_{request.param.removeprefix('gentoolkit_')}"
    shutil.copytree(PLUGINS / original, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    info = tmp_path / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nmain = {name}\n")
    monkeypatch.syspath_prepend(tmp_path)
    for module in {original, *(module for module in sys.modules if module.startswith(f"{original}."))}:
        monkeypatch.setitem(sys.modules, module, None)  # importing it now raises ImportError
    yield name
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def test_a_renamed_copy_of_a_shipped_plugin_builds_its_own_components(copy, tmp_path):
    plugins = load_plugins(PathDistribution(tmp_path / f"{copy}-1.0.dist-info").entry_points)
    assert plugins.quarantined == ()
    entries = plugins.registry.entries()
    assert entries
    registry = load_plugins().registry  # without the original, whose components the copies replace in slots
    registry.add(*(replace(entry, name=entry.component.name) for entry in entries))
    for entry in entries:
        assert entry.name.startswith(f"{copy.replace('_', '-')}/")
        try:
            built = Case(entry, registry=registry).build()
        except UsageError:  # an extra is not installed
            built = None
        for made in (entry.config, *([] if built is None else [type(built)])):
            assert made.__module__.partition(".")[0] == copy
