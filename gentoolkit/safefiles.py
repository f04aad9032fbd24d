"""Files below a folder whose content may come from anyone.

Nothing below the root is ever reached through a link, only regular files are opened, and a file's size is checked
before it is read. A run's directory that somebody prepared can therefore neither make the toolkit read or write outside
of it nor make it wait for a pipe or read a device without end. The root itself is the user's choice and may be a link.
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

#: Bytes that are read of a file of JSON; how deep its values may be nested.
MAX_JSON, MAX_DEPTH = 2**24, 32

# Windows has none of these three: there every folder on the way is looked at before a file is opened.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_RELATIVE = {os.open, os.mkdir, os.unlink, os.rename, os.stat} <= os.supports_dir_fd


@dataclass(frozen=True)
class SafePath:
    """A file or folder below a root.

    It has no `__fspath__`: whatever opens it must do so through the methods here.

    Attributes:
        root: A folder that the user named; it may be a link.
        parts: The names from there on, of which none may be a link.
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
        """The whole path, to show it."""
        return self.root.joinpath(*self.parts)

    @property
    def name(self) -> str:
        """The last name."""
        return self.path.name

    @property
    def folder(self) -> SafePath:
        """The folder that it lies in."""
        return SafePath(self.root, self.parts[:-1])

    def sibling(self, name: str) -> SafePath:
        """Return what has another name in the same folder."""
        return self.folder / name

    def is_file(self) -> bool:
        """Return whether there is a regular file."""
        mode = self._mode()
        return mode is not None and stat.S_ISREG(mode)

    def exists(self) -> bool:
        """Return whether there is anything, be it a link to nowhere."""
        return self._mode() is not None

    def names(self) -> list[str]:
        """Return the names in a folder, sorted; none where there is no such folder."""
        try:
            with self._opened_folder() as (folder, path):
                return sorted(os.listdir(path if folder is None else folder))  # noqa: PTH208 - of a descriptor
        except FileNotFoundError:
            return []

    def read(self, limit: int) -> bytes:
        """Return a file's bytes.

        Raises:
            OSError: It is missing, no regular file, behind a link, or has more than `limit` bytes.
        """
        with self.reading(limit) as file:
            return file.read(os.fstat(file.fileno()).st_size)

    @contextmanager
    def reading(self, limit: int) -> Iterator[IO[bytes]]:
        """Open a file to read; see `read`."""
        descriptor = self._open(os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as file:
            if (size := os.fstat(descriptor).st_size) > limit:
                raise OSError(errno.EFBIG, f"has {size} bytes, expected at most {limit}", str(self))
            yield file

    def read_json(self) -> Any:
        """Return a file's JSON value.

        Raises:
            OSError: See `read`.
            ValueError: It is not JSON, or nested too deeply.
        """
        return parse_json(self.read(MAX_JSON))

    def write(self, data: bytes) -> None:
        """Write a file as a whole: a reader, and a crash, see the old content or the new, and a link is replaced."""
        draft = self.sibling(f".{self.name[:200]}.{secrets.token_hex(4)}")
        try:
            draft.create(data)
            draft.rename(self)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.remove()
            raise

    def create(self, data: bytes = b"") -> None:
        """Write a file that is not there yet; it is on the disk when this returns.

        Raises:
            FileExistsError: There is something with that name.
        """
        descriptor = self._open(os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def writing(self) -> Iterator[int]:
        """Open a file, which is made where it is missing, to write at its end; hand out its descriptor."""
        descriptor = self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def make_folder(self) -> None:
        """Make a folder."""
        with self._in_folder() as (folder, name):
            os.mkdir(name, dir_fd=folder)

    def rename(self, target: SafePath) -> None:
        """Move to another name in the same folder; a file there is replaced."""
        with self._in_folder() as (folder, name):
            new = target.name if folder is not None else str(target)
            os.replace(name, new, src_dir_fd=folder, dst_dir_fd=folder)

    def remove(self) -> None:
        """Delete a file, a link (not what it points to), or a folder with all that is in it."""
        with self._in_folder() as (folder, name):
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)

    def sync_folder(self) -> None:
        """Bring a folder's list of names to the disk, where the system can."""
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
        """Return the descriptor of a regular file that no link leads to."""
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
        """Open the folder that it lies in; give its descriptor and the name in it (None, and the path, on Windows)."""
        if not self.parts:
            yield None, str(self.root)
            return
        with self.folder._opened_folder() as (folder, _), self._named_errors():
            yield folder, self.name if folder is not None else str(self)

    @contextmanager
    def _opened_folder(self) -> Iterator[tuple[int | None, str]]:
        """Open it as a folder, name by name; give its descriptor (None on Windows) and its path."""
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
        """Say of an error which path it is about, and that a link is none that is followed."""
        try:
            yield
        except OSError as error:
            # Of a link to a folder, Linux says that it is no folder.
            if error.errno in (errno.ELOOP, errno.ENOTDIR) and self._has_link():
                raise OSError(errno.ELOOP, _LINK, str(self)) from None
            raise OSError(error.errno, error.strerror, str(self)) from None

    def _has_link(self) -> bool:
        return any(self.root.joinpath(*self.parts[: n + 1]).is_symlink() for n in range(len(self.parts)))


_LINK = "is, or lies behind, a link; links inside a run are not followed"


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data; a full disk raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: It is not JSON, not UTF-8, or nested more than `MAX_DEPTH` levels deep.
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
