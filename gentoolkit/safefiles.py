"""Safe access to files in a folder with untrusted content.

Links below the root are never followed, only regular files are opened, and the size of a file is checked before it is
read. A malicious run directory can therefore not make gentoolkit read or write files outside of it, wait for a pipe, or
read a device without end. The root itself is chosen by the user and may be a link.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

#: Maximum size of a JSON file in bytes, and maximum nesting depth of its values.
MAX_JSON, MAX_DEPTH = 2**24, 32

# Windows has none of these three flags. There, each folder in the path is checked before a file is opened.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_RELATIVE = {os.open, os.mkdir, os.unlink, os.rename, os.stat} <= os.supports_dir_fd


@dataclass(frozen=True)
class SafePath:
    """A file or folder below a root.

    It has no `__fspath__`, so that it can only be opened through its methods.

    Attributes:
        root: A folder chosen by the user. It may be a link.
        parts: The names below `root`. None of them may be a link.
    """

    root: Path
    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> SafePath:
        separators = {"/", os.sep, os.altsep, "\0", *(":" if os.name == "nt" else "")} - {None}
        if name in ("", ".", "..") or any(character in name for character in separators):
            raise OSError(errno.EINVAL, "is not a plain file name", name)
        return SafePath(self.root, (*self.parts, name))

    @property
    def path(self) -> Path:
        """The full path, for messages."""
        return self.root.joinpath(*self.parts)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.name

    @property
    def folder(self) -> SafePath:
        """The parent folder."""
        return SafePath(self.root, self.parts[:-1])

    def sibling(self, name: str) -> SafePath:
        """Return the path with another name in the same folder."""
        return self.folder / name

    def is_file(self) -> bool:
        """Return whether this is a regular file."""
        mode = self._mode()
        return mode is not None and stat.S_ISREG(mode)

    def exists(self) -> bool:
        """Return whether anything has this name, including a broken link."""
        return self._mode() is not None

    def names(self) -> list[str]:
        """Return the sorted names in this folder; empty if it does not exist."""
        try:
            with self._opened_folder() as (folder, path):
                return sorted(os.listdir(path if folder is None else folder))  # noqa: PTH208 - of a descriptor
        except FileNotFoundError:
            return []

    def read(self, limit: int) -> bytes:
        """Return the content of the file.

        Raises:
            OSError: The file is missing, not a regular file, reached through a link, or larger than `limit` bytes.
        """
        with self.reading(limit) as file:
            return file.read(os.fstat(file.fileno()).st_size)

    @contextmanager
    def reading(self, limit: int) -> Iterator[IO[bytes]]:
        """Open the file for reading; see `read`."""
        descriptor = self._open(os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as file:
            if (size := os.fstat(descriptor).st_size) > limit:
                raise OSError(errno.EFBIG, f"has {size} bytes, expected at most {limit}", str(self))
            yield file

    def read_json(self) -> Any:
        """Return the JSON value in the file.

        Raises:
            OSError: See `read`.
            ValueError: The content is not valid JSON, or nested too deeply.
        """
        return parse_json(self.read(MAX_JSON))

    def write(self, data: bytes) -> None:
        """Write the file atomically: readers see the old or the new content, even after a crash. Replaces a link."""
        draft = self.sibling(f".{self.name[:200]}.{secrets.token_hex(4)}")
        try:
            draft.create(data)
            draft.rename(self)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.remove()
            raise

    def create(self, data: bytes = b"") -> None:
        """Create the file and sync it to disk.

        Raises:
            FileExistsError: The name exists already.
        """
        descriptor = self._open(os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def writing(self) -> Iterator[int]:
        """Open the file for appending, creating it if needed, and yield its descriptor."""
        descriptor = self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def make_folder(self) -> None:
        """Create this folder."""
        with self._in_folder() as (folder, name):
            os.mkdir(name, dir_fd=folder)

    def rename(self, target: SafePath) -> None:
        """Rename within the same folder. An existing file is replaced."""
        with self._in_folder() as (folder, name):
            new = target.name if folder is not None else str(target)
            os.replace(name, new, src_dir_fd=folder, dst_dir_fd=folder)

    def remove(self) -> None:
        """Delete a file, a link (not its target), or a folder with its content."""
        with self._in_folder() as (folder, name):
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)

    def sync_folder(self) -> None:
        """Sync the folder's entries to disk, if the system supports it."""
        with self._opened_folder() as (folder, _):
            if folder is not None:
                os.fsync(folder)

    def _mode(self) -> int | None:
        try:
            with self._in_folder() as (folder, name):
                return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _open(self, flags: int) -> int:
        """Open a regular file without following links, and return its descriptor."""
        if not _NO_LINK:
            self._refuse_links()
        with self._in_folder() as (folder, name):
            descriptor = os.open(name, flags | _NO_LINK | _NO_WAIT | _BINARY, 0o666, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "is not a regular file", str(self))
        return descriptor

    @contextmanager
    def _in_folder(self) -> Iterator[tuple[int | None, str]]:
        """Open the parent folder; yield its descriptor and the name in it (on Windows, None and the full path)."""
        if not self.parts:
            yield None, str(self.root)
            return
        with self.folder._opened_folder() as (folder, _), self._named_errors():
            yield folder, self.name if folder is not None else str(self)

    @contextmanager
    def _opened_folder(self) -> Iterator[tuple[int | None, str]]:
        """Open this folder, one name at a time; yield its descriptor (on Windows, None) and its path."""
        if not _RELATIVE:
            self._refuse_links()
            yield None, str(self)
            return
        with self._named_errors():
            descriptor = os.open(self.root, _FOLDER)
        try:
            for part in self.parts:
                with self._named_errors():
                    inner = os.open(part, _FOLDER | _NO_LINK, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor, str(self)
        finally:
            os.close(descriptor)

    def _refuse_links(self) -> None:
        path = self.root
        for part in self.parts:
            path /= part
            if path.is_symlink() or getattr(path, "is_junction", bool)():  # junctions: Windows, Python 3.12
                raise OSError(errno.ELOOP, _LINK, str(path))

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Add the full path to errors, and name links as the cause where they are."""
        try:
            yield
        except OSError as error:
            # For a link to a folder, Linux reports that it is not a folder.
            if error.errno in (errno.ELOOP, errno.ENOTDIR) and self._has_link():
                raise OSError(errno.ELOOP, _LINK, str(self)) from None
            raise OSError(error.errno, error.strerror, str(self)) from None

    def _has_link(self) -> bool:
        return any(self.root.joinpath(*self.parts[: n + 1]).is_symlink() for n in range(len(self.parts)))


_LINK = "is a link or is reached through one; links inside a run are not followed"


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data. Raise OSError if the disk is full."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def parse_json(text: str | bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: The text is not valid JSON, not UTF-8, or nested more than `MAX_DEPTH` levels deep.
    """
    try:
        value = json.loads(text)
        deep = _is_deep(value)
    except RecursionError:
        deep = True
    if deep:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True
