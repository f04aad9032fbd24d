import sys

import pytest

from gentoolkit.distributions import CORE, canonical, has_foreign_plugins, identity, with_plugins


# The examples of PEP 503.
@pytest.mark.parametrize("name", ["friendly-bard", "Friendly-Bard", "FRIENDLY-BARD", "friendly.bard", "friendly_bard"])
def test_names_of_one_distribution_are_equal(name):
    assert canonical(name) == "friendly-bard"
    assert canonical("FrIeNdLy-._.-bArD") == "friendly-bard"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Make a distribution; nothing else is installed, and no module is there to be imported."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing")])

    def make(name, group="gentoolkit.plugins.v2"):
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


def test_what_an_archive_holds_is_left_to_the_full_search(install, tmp_path):
    assert not has_foreign_plugins()
    (tmp_path / "archive.zip").write_bytes(b"")
    sys.path.append(str(tmp_path / "archive.zip"))
    assert has_foreign_plugins()


def test_an_installed_package_is_judged_as_importlib_metadata_does():
    assert has_foreign_plugins() == any(identity(distribution)[0] != CORE for distribution in with_plugins())
