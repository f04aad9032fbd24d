"""Ratios of wall times from interleaved runs: A B A B, because shared machines drift."""

from __future__ import annotations

import gc
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any


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


class _Child:
    """What a child process of `in_processes` holds."""

    work: Callable[[], Any]


def _build(make: Callable[[], Callable[[], Any]]) -> None:
    _Child.work = make()


def _run() -> None:
    _Child.work()


def _wait_for_run(pool: ProcessPoolExecutor) -> None:
    pool.submit(_run).result()


@contextmanager
def in_processes(makers: Mapping[str, Callable[[], Callable[[], Any]]]) -> Iterator[dict[str, Callable[[], Any]]]:
    """Build each contender in a process of its own and yield what runs it there and waits for it.

    In one process they would share a heap, and a step would be slower or quicker with what others have left there. A
    maker must be picklable.
    """
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pools = {
            name: stack.enter_context(ProcessPoolExecutor(1, context, initializer=_build, initargs=(make,)))
            for name, make in makers.items()
        }
        yield {name: partial(_wait_for_run, pool) for name, pool in pools.items()}


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
