"""The file `metrics.jsonl` of a run: functions to write, read and cut back its records."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from gentoolkit.records import RECORDS, MetricsDamaged, Record, Step, parse_record
from gentoolkit.safefiles import MAX_JSON, SafePath, write_all

#: Maximum size of the file in bytes, enough for about five million steps.
MAX_SIZE = 2**30
#: Maximum number of missing ranges of steps, and of unreadable lines, that are recorded and shown.
MAX_LISTED = 20

#: Events that are recorded after the checkpoint of their step.
AFTER = {"evaluation", "resumed", "metrics_damaged"}


def line_of(record: Record) -> bytes:
    """Return a record as a line."""
    return (record.model_dump_json() + "\n").encode()


def read_records(file: SafePath) -> list[Record]:
    """Return the records in a file, or [] if it does not exist. Warn about unreadable lines.

    An incomplete last line, left behind by a killed process, is skipped without a warning.
    """
    records: list[Record] = []
    unreadable = 0
    for line, _ in _lines(file):
        if (record := parse_record(line)) is not None:
            records.append(record)
        elif line.endswith(b"\n"):
            unreadable += 1
    if unreadable:
        lines = "line" if unreadable == 1 else "lines"
        warnings.warn(f"skipped {unreadable} unreadable {lines} in {file}", stacklevel=2)
    return records


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

    def append(self, record: Record) -> None:
        """Append a record. It has been handed to the operating system when this returns."""
        line = line_of(record)
        write_all(self._descriptor, line)
        self._size += len(line)
        self._hash.update(line)

    def mark(self) -> dict[str, Any]:
        """Return the values that a checkpoint stores for `cut_back`."""
        return {"metrics_size": self._size, "metrics_sha256": self._hash.hexdigest()}


def shortened(damage: MetricsDamaged) -> MetricsDamaged:
    """Return a record with at most `MAX_LISTED` ranges and lines, so that a line of the file is never too long."""
    return MetricsDamaged(
        step=damage.step, missing=damage.missing[:MAX_LISTED], unreadable=damage.unreadable[:MAX_LISTED]
    )


def damage_text(damage: MetricsDamaged) -> str:
    """Describe damage to the file in one line."""
    ranges = [f"{first}" if first == last else f"{first} to {last}" for first, last in damage.missing]
    parts = [
        f"the records of steps {_short(ranges)} are missing" if ranges else "",
        f"unreadable lines: {_short(map(str, damage.unreadable))}" if damage.unreadable else "",
    ]
    what = "; ".join(filter(None, parts)) or "every step has a record, but the content has changed"
    return (
        f"metrics.jsonl does not match the checkpoint at step {damage.step}: {what}. "
        "The weights are not affected; training continues"
    )


def cut_back(file: SafePath, step: int, size: int, sha256: str, logged: Iterable[int]) -> MetricsDamaged | None:
    """Cut the file back to its content at the time of a checkpoint, whose `MetricsLog.mark` is `size` and `sha256`.

    `logged` are the steps up to the checkpoint that should have records, in order.

    Returns:
        None if the file still has that content. Otherwise, the damage; the file is then cut back to
        the first record written after the checkpoint.
    """
    with file.writing() as descriptor:
        if size <= os.fstat(descriptor).st_size and _hash_of(descriptor, size).hexdigest() == sha256:
            os.ftruncate(descriptor, size)
            return None
        end, seen, unreadable = _rows_until(file, step)
        os.ftruncate(descriptor, end)
    groups = [(known, list(steps)) for known, steps in groupby(logged, seen.__contains__)]
    missing = [(steps[0], steps[-1]) for known, steps in groups if not known]
    return MetricsDamaged(step=step, missing=tuple(missing), unreadable=unreadable)


def _rows_until(file: SafePath, step: int) -> tuple[int, set[int], tuple[int, ...]]:
    """Return the end of the records up to a step, the steps with records, and the numbers of unreadable lines."""
    kept, seen, unreadable = 0, set[int](), list[int]()
    for number, (line, end) in enumerate(_lines(file), 1):
        record = parse_record(line)
        if record is None:
            unreadable.append(number)
        elif record.event in RECORDS and getattr(record, "step", 0) >= step + (record.event not in AFTER):
            break
        elif isinstance(record, Step):
            seen.add(record.step)
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
