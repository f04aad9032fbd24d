"""Ratios of wall times from interleaved runs: A B A B, because shared machines drift."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from gentoolkit.devices import keep_freed_memory

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One line of the benchmark's table.

    Attributes:
        section: "training step", "sampling", ...
        name: What is compared with what.
        median: The median of the rounds' ratios.
        smallest: The smallest of them.
        largest: The largest.
        note: How it was measured, where that matters.
    """

    section: str
    name: str
    median: float
    smallest: float
    largest: float
    note: str = ""

    def __str__(self) -> str:
        spread = f"{self.median:.2f} ({self.smallest:.2f} to {self.largest:.2f})"
        return f"  {self.name:58} {spread:24} {self.note}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)


def seconds(work: Callable[[], Any]) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def by_itself(work: Callable[[], T]) -> Callable[[], T]:
    """Return others' work as it runs in a process of its own, where nobody has told glibc to keep large freed blocks.

    Building one of our models does (`keep_freed_memory`); 32 MiB is where glibc's own, growing limit ends.
    """

    def run() -> T:
        keep_freed_memory(2**25)
        try:
            return work()
        finally:
            keep_freed_memory()

    return run


def interleaved(contenders: Mapping[str, Callable[[], Any]], rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Return the wall times of each contender, one a round; every round runs all of them in turn."""
    for _ in range(warm_up):
        for work in contenders.values():
            work()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            gc.collect()
            times[name].append(seconds(work))
    return times


def ratio(section: str, name: str, numerator: list[float], denominator: list[float], note: str = "") -> Row:
    """Return the ratio of two contenders' times, taken round by round."""
    ratios = sorted(a / b for a, b in zip(numerator, denominator, strict=True))
    return Row(section, name, statistics.median(ratios), ratios[0], ratios[-1], note)
