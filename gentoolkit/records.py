"""The records of a run in `metrics.jsonl`: their fields, and functions to write, read and cut them back."""

from __future__ import annotations

import hashlib
import json
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gentoolkit.safefiles import MAX_JSON, SafePath, parse_json, write_all

#: Maximum size of the file in bytes, enough for about five million steps.
MAX_SIZE = 2**30
#: Maximum number of missing ranges of steps, and of unreadable lines, in a message.
MAX_LISTED = 20

Step = Annotated[int, Field(ge=0, lt=2**63)]
Number = float | None  # None stands for a non-finite number
Finite = Annotated[float, Field(allow_inf_nan=False, ge=0)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Step(_Row):
    step: Step
    loss: Number
    velocity_error: Number = None


class _Epoch(_Row):
    epoch: Step
    step: Step


class _Loss(_Row):
    loss: Number
    loss_by_t: list[Number]


class _ReferenceLoss(_Loss):
    name: str
    explanation: str
    excess: Number
    excess_error: Number


class _ValidationLoss(_Loss):
    path: str


class _Validation(_ValidationLoss):
    step: Step


class _ReferencedLoss(_ValidationLoss):
    reference: _ReferenceLoss | None


class _Reference(_Row):
    name: str
    explanation: str


class _Group(_Row):
    value: Number
    value_std: Number
    floor: Number
    floor_std: Number
    reference: Number
    reference_std: Number


class _Metric(_Group):
    name: str
    optimum: float
    pooled: _Group
    per_class: dict[str, _Group]
    explanation: str


class _Evaluation(_Row):
    step: Step
    validation: _ReferencedLoss
    reference: _Reference | None
    metrics: list[_Metric]
    samples: Step
    samples_per_class: Step | None
    left_out: dict[str, Step]


class _Resumed(_Row):
    step: Step


class _Finished(_Row):
    seconds: dict[str, Finite]


#: Event -> required fields. Records may have more fields, and plugins may write events of their own.
ROWS: dict[str, type[_Row]] = {
    "step": _Step,
    "epoch": _Epoch,
    "validation": _Validation,
    "evaluation": _Evaluation,
    "resumed": _Resumed,
    "metrics_damaged": _Resumed,
    "finished": _Finished,
}
#: Events that are recorded after the checkpoint of their step.
AFTER = {"evaluation", "resumed", "metrics_damaged"}


def parse_row(line: bytes) -> dict[str, Any] | None:
    """Return the record in a line, or None if the line is incomplete or the record is invalid."""
    try:
        row = parse_json(line)
        if not isinstance(row, dict) or not isinstance(row["event"], str):
            return None
        if (kind := ROWS.get(row["event"])) is not None:
            kind.model_validate(row)
    except (ValueError, KeyError, ValidationError):
        return None
    return row


def row_line(event: str, values: Mapping[str, Any]) -> bytes:
    """Return a record as a line. Non-finite numbers become null, since JSON cannot represent them."""
    return (json.dumps(_plain({"event": event, **values}), allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_rows(file: SafePath) -> list[dict[str, Any]]:
    """Return the records in a file, or [] if it does not exist. Warn about unreadable lines.

    An incomplete last line, left behind by a killed process, is skipped without a warning.
    """
    rows: list[dict[str, Any]] = []
    unreadable = 0
    for line, _ in _lines(file):
        if (row := parse_row(line)) is not None:
            rows.append(row)
        elif line.endswith(b"\n"):
            unreadable += 1
    if unreadable:
        lines = "line" if unreadable == 1 else "lines"
        warnings.warn(f"skipped {unreadable} unreadable {lines} in {file}", stacklevel=2)
    return rows


def _lines(file: SafePath) -> Iterator[tuple[bytes, int]]:
    """Yield each line with its end position. Lines that are too long are split."""
    try:
        with file.reading(MAX_SIZE) as opened:
            while line := opened.readline(MAX_JSON):
                yield line, opened.tell()
    except FileNotFoundError:
        return


class MetricsLog:
    """The file, open for appending. Keeps track of the size and sha256 of its content."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._hash = _hash_of(descriptor, self._size)

    def __call__(self, event: str, values: Mapping[str, Any]) -> None:
        """Append a record. It has been handed to the operating system when this returns."""
        line = row_line(event, values)
        write_all(self._descriptor, line)
        self._size += len(line)
        self._hash.update(line)

    def mark(self) -> dict[str, Any]:
        """Return the values that a checkpoint stores for `cut_back`."""
        return {"metrics_size": self._size, "metrics_sha256": self._hash.hexdigest()}


@dataclass(frozen=True)
class Damage:
    """Damage to the file, up to the step of a checkpoint.

    Attributes:
        step: The checkpoint's step.
        missing: First and last step of each range of missing records.
        unreadable: Numbers, counted from 1, of lines that are not valid records.
    """

    step: int
    missing: tuple[tuple[int, int], ...]
    unreadable: tuple[int, ...]

    def __str__(self) -> str:
        ranges = [f"{first}" if first == last else f"{first} to {last}" for first, last in self.missing]
        parts = [
            f"the records of steps {_short(ranges)} are missing" if ranges else "",
            f"unreadable lines: {_short(map(str, self.unreadable))}" if self.unreadable else "",
        ]
        what = "; ".join(filter(None, parts)) or "every step has a record, but the content has changed"
        return (
            f"metrics.jsonl does not match the checkpoint at step {self.step}: {what}. "
            "The weights are not affected; training continues"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data for a "metrics_damaged" record."""
        missing, unreadable = self.missing[:MAX_LISTED], self.unreadable[:MAX_LISTED]
        return {"step": self.step, "missing": [list(ends) for ends in missing], "unreadable": list(unreadable)}


def cut_back(file: SafePath, step: int, size: int, sha256: str, logged: Iterable[int]) -> Damage | None:
    """Cut the file back to its content at the time of a checkpoint.

    Args:
        file: `metrics.jsonl`.
        step: The checkpoint's step.
        size: The size from `MetricsLog.mark`, stored in the checkpoint.
        sha256: The hash from `MetricsLog.mark`, stored in the checkpoint.
        logged: The steps up to the checkpoint that should have records, in order.

    Returns:
        None if the file still has that content. Otherwise, a description of the damage; the file is then cut back to
        the first record written after the checkpoint.
    """
    with file.writing() as descriptor:
        if size <= os.fstat(descriptor).st_size and _hash_of(descriptor, size).hexdigest() == sha256:
            os.ftruncate(descriptor, size)
            return None
        end, seen, unreadable = _rows_until(file, step)
        os.ftruncate(descriptor, end)
    groups = [(known, list(steps)) for known, steps in groupby(logged, seen.__contains__)]
    return Damage(step, tuple((steps[0], steps[-1]) for known, steps in groups if not known), unreadable)


def _rows_until(file: SafePath, step: int) -> tuple[int, set[int], tuple[int, ...]]:
    """Return the end of the records up to a step, the steps with records, and the numbers of unreadable lines."""
    kept, seen, unreadable = 0, set[int](), list[int]()
    for number, (line, end) in enumerate(_lines(file), 1):
        row = parse_row(line)
        if row is None:
            unreadable.append(number)
        elif row["event"] in ROWS and row.get("step", 0) >= step + (row["event"] not in AFTER):
            break
        elif row["event"] == "step":
            seen.add(row["step"])
        kept = end if line.endswith(b"\n") else kept
    return kept, seen, tuple(unreadable)


def _hash_of(descriptor: int, size: int) -> Any:
    """Return a sha256 object of the first `size` bytes of a file."""
    running = hashlib.sha256()
    os.lseek(descriptor, 0, os.SEEK_SET)
    while size and (chunk := os.read(descriptor, min(size, 2**20))):
        running.update(chunk)
        size -= len(chunk)
    return running


def _short(items: Iterable[str]) -> str:
    items = list(items)
    more = f" and {len(items) - MAX_LISTED} more" if len(items) > MAX_LISTED else ""
    return ", ".join(items[:MAX_LISTED]) + more
