import sys
import zipfile
from importlib import metadata

import pytest

from gentoolkit.distributions import Point, canonical, entry_points, identity


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


COMMANDS = "gentoolkit.commands"


def test_entry_points_are_found_without_their_modules(install):
    install("My_Parts", f"{COMMANDS}.v2")
    install("something_else", "console_scripts")
    assert [*entry_points(COMMANDS)] == [Point("my-parts", "1.0", f"{COMMANDS}.v2", "main", "no_such_module")]


def test_what_a_file_of_entry_points_may_contain(install, tmp_path):
    install("parts")
    (tmp_path / "parts-1.0.dist-info" / "entry_points.txt").write_text(
        "; a comment\n[console_scripts]\nx = y:z\n\n[gentoolkit.commands.v2]\n# another = a:b\n"
        "a=b:c\n  d  =  e:f [extra]\nno equals sign\n[gentoolkit.commands.v3]\ng = h:i\n"
    )
    assert [point[2:] for point in entry_points(COMMANDS)] == [
        (f"{COMMANDS}.v2", "a", "b:c"),
        (f"{COMMANDS}.v2", "d", "e:f"),
        (f"{COMMANDS}.v3", "g", "h:i"),
    ]


@pytest.mark.parametrize(
    ("folder", "name", "version"),
    [
        ("my_parts-1.0.dist-info", "my-parts", "1.0"),
        ("my-parts-1.0.dist-info", "my-parts", "1.0"),
        ("my_parts-1.0.dev1+local-py3.11.egg-info", "my-parts", "1.0.dev1+local"),
        ("my_parts.egg-info", "my-parts", "unknown"),
    ],
)
def test_name_and_version_are_those_of_the_folder(install, tmp_path, folder, name, version):
    install("x", f"{COMMANDS}.v2")
    (tmp_path / "x-1.0.dist-info").rename(tmp_path / folder)
    assert [point[:2] for point in entry_points(COMMANDS)] == [(name, version)]


def test_the_first_distribution_of_a_name_on_the_path_counts(install, tmp_path):
    install("parts", "console_scripts")
    behind = tmp_path / "behind" / "Parts-2.0.dist-info"
    behind.mkdir(parents=True)
    (behind / "entry_points.txt").write_text("[gentoolkit.commands.v2]\na = b:c\n")
    sys.path.append(str(behind.parent))
    assert [*entry_points(COMMANDS)] == []
    sys.path.reverse()
    assert [point.version for point in entry_points(COMMANDS)] == ["2.0"]


def test_what_an_archive_holds_is_found_too(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("zipped-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: zipped\nVersion: 1.0\n")
        archive.writestr("zipped-1.0.dist-info/entry_points.txt", "[gentoolkit.commands.v2]\na = b:c\n")
    (tmp_path / "no_archive").write_bytes(b"")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "archive.zip"), str(tmp_path / "no_archive")])
    assert [*entry_points(COMMANDS)] == [Point("zipped", "1.0", "gentoolkit.commands.v2", "a", "b:c")]


def test_installed_packages_have_the_entry_points_that_importlib_metadata_finds():
    first = {}  # of each name
    for distribution in metadata.distributions():
        first.setdefault(identity(distribution)[0], distribution)
    slow = {(name, point.group, point.name) for name, found in first.items() for point in found.entry_points}
    assert {(point.distribution, point.group, point.name) for point in entry_points("")} == slow
