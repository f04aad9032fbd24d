"""Tables of a run's losses."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from gentoolkit.observers import Observer

from . import CsvConfig


class Csv(Observer):
    """Writes one table for steps and one for validations. A row is on its way to the disk when `step` returns."""

    def __init__(self, config: CsvConfig, directory: Path) -> None:
        self.directory = directory
        self.tables: dict[str, Table] = {}

    def started(self, recipe: Mapping[str, Any], step: int) -> None:
        """Open the tables, without the rows after `step`."""
        self.tables = {name: Table(self.directory / f"{name}.csv", step) for name in ("steps", "validations")}

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Add a row to `steps.csv`."""
        self.tables["steps"].add({"step": step, **values})

    def validation(self, step: int, values: Mapping[str, Any]) -> None:
        """Add a row to `validations.csv`."""
        self.tables["validations"].add({"step": step, **flat(values)})

    def close(self) -> None:
        """Close the tables."""
        for table in self.tables.values():
            table.close()


class Table:
    """A CSV file whose columns are those of its first row. A row with others adds them, empty in earlier rows.

    Args:
        path: The file. A link, or anything else that is not a regular file, is replaced.
        last: Rows with a later step are removed.
    """

    def __init__(self, path: Path, last: int) -> None:
        self.path = path
        self.file: TextIO | None = None
        self.columns, rows = read(path)
        if self.columns:
            self._rewrite(row for row in rows if row.get("step", "").isdigit() and int(row["step"]) <= last)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        if new := [name for name in row if name not in self.columns]:
            rows = read(self.path)[1] if self.columns else []
            self.columns += new
            self._rewrite(rows)
        self.writer.writerow(row)

    def _rewrite(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace the file by one with the columns of now, and leave it open for more rows."""
        self.close()
        beside = self.path.with_name(f".{self.path.name}.new")
        beside.unlink(missing_ok=True)
        self.file = beside.open("x", newline="", encoding="utf-8", buffering=1)  # a line at a time
        self.writer = csv.DictWriter(self.file, self.columns, lineterminator="\n")
        self.writer.writeheader()
        self.writer.writerows(rows)
        beside.replace(self.path)

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()


def read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return the columns and the complete rows of a table; both empty if there is no such file."""
    if path.is_symlink() or not path.is_file():
        return [], []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = [line for line in file if line.endswith("\n")]  # a killed process leaves an incomplete last line
    table = csv.DictReader(lines)
    columns = list(table.fieldnames or [])
    return columns, [{name: row[name] or "" for name in columns} for row in table]


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with one entry for each element of a list: {"a": [1, 2]} becomes {"a.0": 1, "a.1": 2}."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= {f"{name}.{i}": item for i, item in enumerate(value)} if isinstance(value, list) else {name: value}
    return found
