"""Files below a folder that may come from anyone."""

import errno
import os

import pytest

from gentoolkit import safefiles
from gentoolkit.safefiles import MAX_DEPTH, SafePath, parse_json


@pytest.fixture(params=["by descriptors", "by looking first"], autouse=True)
def way(request, monkeypatch):
    """Run every test the second way, too: as on Windows, where files can't be opened relative to a folder."""
    if request.param == "by looking first":
        monkeypatch.setattr(safefiles, "_RELATIVE", False)
        monkeypatch.setattr(safefiles, "_NO_LINK", 0)
    elif not safefiles._RELATIVE:
        pytest.skip("this system has no such functions")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "folder").mkdir(parents=True)
    return SafePath(tmp_path / "root")


OPERATIONS = {
    "read": lambda file: file.read(100),
    "read_json": lambda file: file.read_json(),
    "writing": lambda file: file.writing().__enter__(),
}


def refused(operation, *words):
    with pytest.raises(OSError, match="link") as error:
        operation()
    assert error.value.errno == errno.ELOOP
    assert all(word in str(error.value) for word in words)


def test_what_is_written_is_read(root):
    file = root / "folder" / "a"
    file.write(b"one")
    file.write(b"three")
    assert file.read(5) == b"three"
    assert file.path.read_bytes() == b"three"
    with file.writing() as descriptor:
        os.write(descriptor, b"!")
    assert file.read(6) == b"three!"
    assert (root / "folder").names() == ["a"]
    assert (root / "nothing").names() == []
    assert (file.exists(), file.is_file(), file.folder.exists(), file.folder.is_file()) == (True, True, True, False)


@pytest.mark.parametrize("operation", [*OPERATIONS])
@pytest.mark.parametrize("target", ["file", "nothing"])
def test_a_link_is_not_followed(root, tmp_path, operation, target):
    (tmp_path / "file").write_bytes(b"1")
    (root / "link").path.symlink_to(tmp_path / target)
    refused(lambda: OPERATIONS[operation](root / "link"), str((root / "link").path))
    assert (tmp_path / "file").read_bytes() == b"1"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("operation", [*OPERATIONS])
def test_nor_is_a_link_to_a_folder_on_the_way(root, tmp_path, operation):
    (tmp_path / "elsewhere" / "b").mkdir(parents=True)
    (tmp_path / "elsewhere" / "b" / "file").write_bytes(b"1")
    (root / "a").path.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    refused(lambda: OPERATIONS[operation](root / "a" / "b" / "file"))


def test_no_operation_on_names_follows_a_link_to_a_folder(root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_bytes(b"1")
    (root / "a").path.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    inside = root / "a" / "file"
    for operation in (
        (root / "a").names,
        inside.is_file,
        inside.exists,
        inside.remove,
        (root / "a" / "new").make_folder,
        (root / "a" / "new").create,
        lambda: (root / "a" / "new").write(b"2"),
        lambda: inside.rename(root / "a" / "other"),
        (root / "a").sync_folder,
    ):
        refused(operation)
    assert [file.name for file in (tmp_path / "elsewhere").iterdir()] == ["file"]


def test_a_link_is_replaced_and_removed_itself(root, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"1")
    (root / "a").path.symlink_to(tmp_path / "file")
    (root / "b").path.symlink_to(tmp_path / "folder", target_is_directory=True)
    (root / "a").write(b"2")
    (root / "b").remove()
    assert (tmp_path / "file").read_bytes() == b"1"
    assert (root / "a").read(1) == b"2"
    assert (tmp_path / "folder").is_dir()
    assert not (root / "b").exists()


def test_the_root_may_be_a_link(root, tmp_path):
    (tmp_path / "linked").symlink_to(root.path, target_is_directory=True)
    (SafePath(tmp_path / "linked") / "folder" / "a").write(b"1")
    assert (root / "folder" / "a").read(1) == b"1"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("operation", [*OPERATIONS])
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_only_regular_files_are_opened(root, operation, kind):
    file = root / "special"
    if kind == "pipe":
        os.mkfifo(file.path)
    else:
        file.make_folder()
    with pytest.raises(OSError, match=r"not a regular file|Is a directory"):
        OPERATIONS[operation](file)


def test_a_file_that_is_too_large_is_not_read(root):
    file = root / "large"
    file.create()
    os.truncate(file.path, 2**40)
    with pytest.raises(OSError, match="has 1099511627776 bytes, expected at most 3"):
        file.read(3)
    with pytest.raises(OSError, match="expected at most 16777216"):
        file.read_json()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/a", "a\0"])
def test_a_name_is_one_name(root, name):
    with pytest.raises(OSError, match="is not a plain file name"):
        root / name


def test_a_file_is_created_only_once(root):
    (root / "a").create(b"1")
    with pytest.raises(FileExistsError):
        (root / "a").create(b"2")
    (root / "b").path.symlink_to(root.path / "c")
    with pytest.raises(OSError, match=r"exists|link"):
        (root / "b").create(b"2")
    assert (root / "a").read(1) == b"1"
    assert root.names() == ["a", "b", "folder"]


def test_a_failed_write_leaves_the_old_file_alone(root, monkeypatch):
    file = root / "a"
    file.write(b"old")

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        file.write(b"new")
    monkeypatch.undo()
    assert file.read(3) == b"old"
    assert root.names() == ["a", "folder"]


def test_json_is_bounded_in_depth():
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    parse_json(deep)
    for text in (f"[[{deep}]]", "[" * 10**6, '{"a":' * 10**6):
        with pytest.raises(ValueError, match=r"nested more than 32 levels|Expecting"):
            parse_json(text)
