"""Contracts for learning-rate schedules."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from gentoolkit.protocols import Schedule
from gentoolkit.testing.contracts import Case, contract, fail, require
from gentoolkit.testing.measures import global_randomness_kept

#: (total_steps, steps_per_epoch) of the runs.
RUNS = ((1, 1), (2, 5), (10, 3), (100, 100), (1000, 7), (10_000, 64))
#: A run with at least so many steps reaches the peak.
LONG = 1000
PEAK = 0.99


def _fractions(schedule: Schedule, run: tuple[int, int]) -> list[float]:
    return [schedule.fraction(step, *run) for step in range(run[0])]


def _runs(case: Case) -> list[tuple[int, int]]:
    """Return the runs that the config allows."""
    allowed = [run for run in RUNS if not [*case.config.check_length(run[0])]]  # type: ignore[attr-defined]
    require(bool(allowed), f"check_length of {case.config!r} refuses every run of up to {RUNS[-1][0]} steps")
    return allowed


def observe(case: Case, schedule: Schedule) -> dict[str, Tensor]:
    """Return what must be equal for two equal schedules."""
    runs = _runs(case)
    return {f"fractions {run}": torch.tensor(_fractions(schedule, run), dtype=torch.float64) for run in runs}


@contract("schedule.fraction")
def fraction(case: Case) -> None:
    """The fraction is a float from 0 to 1 at every step.

    Power: any such fault in a run of 1, 2, 10, 100, 1,000 or 10,000 steps that `check_length` allows.
    """
    schedule = case.build()
    for run in _runs(case):
        for step, value in enumerate(_fractions(schedule, run)):
            where = f"fraction{(step, *run)}"
            require(isinstance(value, float), f"{where} is a {type(value).__name__}; expected a float")
            require(0 <= value <= 1, f"{where} is {value}; expected 0 to 1")


@contract("schedule.repeatable")
def repeatable(case: Case) -> None:
    """A fraction depends only on its arguments, so that a resumed run continues with the same learning rates.

    Power: any difference between calls in order, in reverse, and alternating between runs of different lengths; any
    draw from the global generators.
    """
    schedule, runs = case.build(), _runs(case)
    with global_randomness_kept():
        expected = {run: _fractions(schedule, run) for run in runs}
    for run in runs:
        for step in reversed(range(run[0])):
            schedule.fraction(step // 2, *runs[0])
            value = schedule.fraction(step, *run)
            where = f"fraction{(step, *run)} is {value}"
            require(value == expected[run][step], f"{where} after other calls, but {expected[run][step]} in order")


@contract("schedule.warmup")
def warmup(case: Case) -> None:
    """The fraction never falls before it first reaches its maximum, and a run of 1,000 steps or more reaches the peak.

    Power: any fall by more than 1e-12; a maximum below 0.99.
    """
    schedule = case.build()
    for run in _runs(case):
        values = _fractions(schedule, run)
        rise = values[: values.index(max(values)) + 1]
        for step, (now, after) in enumerate(pairwise(rise)):
            falls = (
                f"the fraction falls from {now:.6g} to {after:.6g} after step {step} of {run[0]}, during the warm-up"
            )
            require(after >= now - 1e-12, falls)
        if run[0] >= LONG and max(values) < PEAK:
            fail(f"the largest fraction in {run[0]} steps is {max(values):.4g}; expected 1, the peak")


@contract("schedule.coverage")
def coverage(case: Case) -> None:
    """Every step trains: the fraction is above 0, except perhaps at the first and the last step.

    Power: any other step with the fraction 0.
    """
    schedule = case.build()
    for run in _runs(case):
        values = _fractions(schedule, run)
        idle = [step for step in range(1, run[0] - 1) if values[step] <= 0]
        require(not idle, f"the fraction is 0 at {len(idle)} of {run[0]} steps, first at step {(idle or [0])[0]}")
