"""Plugins for whole runs: the installed ones, and the points of `point_parts`."""

import importlib
import sys
from pathlib import Path

import pytest

from gentoolkit.plugins import load_plugins


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """The installed plugins and ours, of a distribution named points."""
    info = tmp_path / "site" / "points-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: points\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gentoolkit.plugins.v2]\npoints = point_parts\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.syspath_prepend(Path(__file__).parent)
    yield load_plugins()
    sys.modules.pop("point_parts", None)


@pytest.fixture
def parts(plugins):
    """The module of the points, whose parts a test may break."""
    return importlib.import_module("point_parts")
