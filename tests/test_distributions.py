from functools import partial
from importlib import metadata

import pytest

from gentoolkit.distributions import canonical, has_foreign_plugins


# The examples of PEP 503.
@pytest.mark.parametrize("name", ["friendly-bard", "Friendly-Bard", "FRIENDLY-BARD", "friendly.bard", "friendly_bard"])
def test_names_of_one_distribution_are_equal(name):
    assert canonical(name) == "friendly-bard"
    assert canonical("FrIeNdLy-._.-bArD") == "friendly-bard"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Make a distribution; nothing else is installed, and no module is there to be imported."""
    monkeypatch.setattr(metadata, "distributions", partial(metadata.distributions, path=[str(tmp_path)]))

    def make(name, group="gentoolkit.plugins.v1"):
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\nmain = no_such_module\n")

    return make


def test_plugins_of_gentoolkit_and_entry_points_of_others_are_not_foreign_plugins(install):
    assert not has_foreign_plugins()
    install("Gentoolkit")
    install("something_else", group="console_scripts")
    assert not has_foreign_plugins()


@pytest.mark.parametrize("group", ["gentoolkit.plugins.v1", "gentoolkit.plugins.v2"])
def test_a_foreign_plugin_is_seen_without_being_imported(install, group):
    install("gentoolkit")
    install("gentoolkit_heun", group)
    assert has_foreign_plugins()
