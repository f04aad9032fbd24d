"""Files and folders with data of the user's, as settings in a recipe, and what datasets of such files share.

A relative path in a recipe starts at the recipe's folder, one in an override on the command line at the current folder.
`resolved.yaml` has the absolute path. Whether it exists is checked with the recipe, before a dataset is built.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from gentoolkit.errors import UsageError, joined, suggest

#: How many faults a message lists.
LISTED = 10
#: The largest float32, (2 - 2^-23) 2^127.
LARGEST = (2 - 2**-23) * 2.0**127


class DataPath:
    """The path of a file or a folder. Annotate a config's field with `DataFile` or `DataFolder`.

    Attributes:
        given: The path as written.
        path: The absolute path.
    """

    def __init__(self, given: str) -> None:
        self.given, self.path = given, Path()
        self.place(Path())

    def place(self, folder: Path) -> None:
        """Let a relative path start at `folder`. A leading `~` stands for the home directory."""
        home = self.given.partition("/")[0] == "~"
        self.path = (folder / (Path(self.given).expanduser() if home else self.given)).absolute()

    def problem(self) -> str:
        """Return why there is no such file or folder, or ""."""
        raise NotImplementedError

    def __str__(self) -> str:
        return str(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataPath) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read and write it as text; an instance of the class is taken too."""
        text = core_schema.str_schema(min_length=1, pattern=r"^[^\x00]*$")
        written = core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema())
        path = core_schema.no_info_after_validator_function(cls, text, serialization=written)
        return core_schema.no_info_before_validator_function(
            lambda given: str(given) if isinstance(given, cls) else given, path
        )

    def _missing(self, noun: str) -> str:
        try:
            near = [sibling.name for sibling in self.path.parent.iterdir()]
        except OSError:
            near = []
        return joined(f"there is no {noun} {self}", suggest(self.path.name, near))


class DataFile(DataPath):
    """The path of a file."""

    def problem(self) -> str:
        """Return why there is no such file, or ""."""
        if self.path.is_dir():
            return f"{self} is a folder; expected a file"
        return "" if self.path.is_file() else self._missing("file")


class DataFolder(DataPath):
    """The path of a folder."""

    def problem(self) -> str:
        """Return why there is no such folder, or ""."""
        if self.path.is_dir():
            return ""
        return f"{self} is a file; expected a folder" if self.path.exists() else self._missing("folder")


def position(key: str | bytes) -> int:
    """Return a number in [0, 2^64) that decides on the split of the sample of this key, and on its place in the split.

    It depends on the key alone: other samples, their number and the seed of the run change nothing.

    Args:
        key: What identifies the sample, such as the file's name.
    """
    data = key.encode("utf-8", "surrogateescape") if isinstance(key, str) else key
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def split_rows(positions: Sequence[int], share: float, split: str, noun: str) -> list[int]:
    """Return the numbers of a split's samples, in the order of their positions, which is random.

    Args:
        positions: The `position` of each sample. The samples below `share` · 2^64 are held out.
        share: The dataset's setting `held_out`.
        split: "train" or "held_out".
        noun: What the samples are, e.g. "images".

    Raises:
        UsageError: A split is empty.
    """
    order = sorted(range(len(positions)), key=positions.__getitem__)
    count = sum(value < share * 2**64 for value in positions)
    require_both_splits(count, len(order), share, noun)
    return order[:count] if split == "held_out" else order[count:]


def require_both_splits(held_out: int, total: int, share: float, noun: str) -> None:
    """Raise UsageError if no sample, or each one, is held out. See `split_rows`."""
    if not 0 < held_out < total:
        found = f"{held_out} of the {total} {noun} are held out with held_out {share:g}, so a split is empty"
        raise UsageError(f"{found}; use more {noun} or another held_out", kind="dataset")


def refuse(faults: Sequence[str], summary: str) -> None:
    """Raise UsageError if there are faults, with the first ones, one per line, after the summary."""
    if faults:
        more = [f"  and {len(faults) - LISTED} more"] if len(faults) > LISTED else []
        lines = [summary, *(f"  {fault}" for fault in faults[:LISTED]), *more]
        raise UsageError("\n".join(lines), kind="dataset")


class CsvTable:
    """A CSV file in UTF-8 whose first line names the columns. Cells are text.

    Args:
        path: The file.
        separator: The character between cells.

    Attributes:
        columns: The names of the columns.

    Raises:
        UsageError: The file is empty, is not UTF-8 text, or its first line has empty or repeated names.
    """

    def __init__(self, path: Path, separator: str = ",") -> None:
        self.path, self.separator = path, separator
        names = next(self._lines(), (0, []))[1]
        if not names:
            raise self._error("is empty; expected a line with the names of the columns")
        self.columns = [name.strip() for name in names]
        if not "".join(self.columns).isprintable():
            raise self._error("is not text; expected a CSV file")
        wrong = [name for name in self.columns if not name or self.columns.count(name) > 1]
        if wrong:
            raise self._error(f"column name {wrong[0]!r} in line 1 is {'repeated' if wrong[0] else 'empty'}")
        if all(map(is_number, self.columns)):
            raise self._error("line 1 has numbers; expected a line with the names of the columns")

    def index(self, column: str) -> int:
        """Return the position of a column. Raise UsageError if there is none of this name."""
        if column not in self.columns:
            hint = suggest(column, self.columns)
            raise self._error(joined(f"has no column {column!r}; its columns are {', '.join(self.columns)}", hint))
        return self.columns.index(column)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number and the cells of each row.

        Raises:
            UsageError: A row has more or fewer cells than there are columns, or the file can't be read as CSV.
        """
        lines = self._lines()
        next(lines)
        for number, cells in lines:
            if len(cells) != len(self.columns):
                raise self._error(f"line {number} has {len(cells)} cells; expected {len(self.columns)}")
            yield number, [cell.strip() for cell in cells]

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, delimiter=self.separator, strict=True)
                for cells in reader:
                    if cells:  # not an empty line
                        yield reader.line_num, cells
        except UnicodeDecodeError as error:
            raise self._error(f"is not UTF-8 text: byte {error.object[error.start]:#04x}") from None
        except csv.Error as error:
            raise self._error(f"line {reader.line_num} is not CSV: {error}") from None
        except OSError as error:
            raise self._error(f"can't be read: {error.strerror}") from None

    def _error(self, wrong: str) -> UsageError:
        return UsageError(f"{self.path}: {wrong}", kind="dataset")


def is_number(text: str) -> bool:
    """Return whether a cell is a number that float32 can hold."""
    try:
        return "_" not in text and abs(float(text)) <= LARGEST
    except ValueError:
        return False


def in_order(values: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct values: numbers in their order, or else text sorted."""
    distinct = set(values)
    if all(map(is_number, distinct)):
        return tuple(sorted(distinct, key=lambda value: (float(value), value)))
    return tuple(sorted(distinct))
