"""Read and check a table, without torch and numpy, so that `gentool validate` finds what is wrong in it."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field
from functools import lru_cache

from gentoolkit.api import UsageError
from gentoolkit.datafiles import CsvTable, in_order, is_number, position, refuse, split_rows

from . import TableConfig


@dataclass
class Rows:
    """The rows of a table.

    Attributes:
        width: Number D of columns of a point.
        points: (N · D) float32.
        conditions: (N · number of conditions) float32.
        labels: (N) int64, or empty.
        positions: What decides on the split of each row, (N).
        classes: The values of the label, in the order of the classes.
    """

    width: int
    points: array[float] = field(default_factory=lambda: array("f"))
    conditions: array[float] = field(default_factory=lambda: array("f"))
    labels: array[int] = field(default_factory=lambda: array("q"))
    positions: list[int] = field(default_factory=list)
    classes: tuple[str, ...] = ()


def read(config: TableConfig) -> Rows:
    """Return the rows. A file that has not changed since is read once.

    Raises:
        UsageError: The table has no such column, a cell is empty or not a number, or a split would be empty.
    """
    status = config.file.path.stat()
    return _read(config, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read(config: TableConfig, *version: int) -> Rows:
    table = CsvTable(config.file.path, config.separator)
    others = {*config.conditions, config.label}
    names = config.columns or [name for name in table.columns if name not in others]
    if not names:
        raise UsageError(f"{config.file}: no columns are left for the points", kind="dataset")
    columns, conditions = list(map(table.index, names)), list(map(table.index, config.conditions))
    label = None if config.label is None else table.index(config.label)
    rows, faults, values = Rows(len(columns)), [], []
    for line, cells in table.rows():
        numeric = [*columns, *conditions]
        wrong = [i for i in numeric if not is_number(cells[i])]
        faults += [f"line {line}, column {table.columns[i]!r}: {_fault(cells[i])}" for i in wrong]
        if label is not None and not cells[label]:
            faults.append(f"line {line}, column {config.label!r}: is empty")
        if wrong:
            continue
        point = [float(cells[i]) + 0.0 for i in columns]  # -0 + 0 is 0, so that equal points have equal bytes
        rows.points.extend(point)
        rows.conditions.extend(float(cells[i]) for i in conditions)
        rows.positions.append(position(struct.pack(f"<{len(point)}f", *point)))
        if label is not None:
            values.append(cells[label])
    for i in columns if faults else ():
        if all(not is_number(cells[i]) for _, cells in table.rows()):
            found = f"{config.file}: column {table.columns[i]!r} has no numbers: {_fault(next(table.rows())[1][i])}"
            raise UsageError(f"{found}; set columns to those with numbers, or make it the label", kind="dataset")
    refuse(faults, f"{config.file}: cells that can't be used: {len(faults)}; correct them or remove their rows")
    split_rows(rows.positions, config.held_out, "train", "rows")  # raises an error if a split is empty
    rows.classes = in_order(values)
    number = {value: i for i, value in enumerate(rows.classes)}
    rows.labels.extend(number[value] for value in values)
    return rows


def _fault(cell: str) -> str:
    return f"{cell[:40]!r} is not a number" if cell else "is empty"
