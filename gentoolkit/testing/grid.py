"""Contracts for the grids of samplers."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from gentoolkit.protocols import Grid
from gentoolkit.testing.contracts import Case, contract, require
from gentoolkit.testing.measures import global_randomness_kept

STEPS = (1, 2, 3, 10, 50, 1000)


def observe(case: Case, grid: Grid) -> dict[str, Tensor]:
    """Return what must be equal for two equal grids."""
    return {str(n): torch.tensor(grid.times(n), dtype=torch.float64) for n in STEPS}


@contract("grid.times")
def times(case: Case) -> None:
    """`times(n)` returns n + 1 increasing numbers, from exactly 0.0 to exactly 1.0, for n = 1, 2, 3, 10, 50, 1000.

    Power: any such fault; any draw from a global generator.
    """
    grid = case.build()
    for n in STEPS:
        with global_randomness_kept():
            found = grid.times(n)
        require(isinstance(found, tuple), f"times({n}) is a {type(found).__name__}; expected a tuple of floats")
        require(len(found) == n + 1, f"times({n}) has {len(found)} times; expected {n + 1}")
        require(
            found[0] == 0 and found[-1] == 1, f"times({n}) runs from {found[0]!r} to {found[-1]!r}; expected 0 to 1"
        )
        wrong = [(a, b) for a, b in pairwise(found) if not a < b]
        require(not wrong, f"times({n}) does not increase: {wrong[:1]}")


@contract("grid.refinement")
def refinement(case: Case) -> None:
    """The longest step shrinks at least by half from 10 to 1,000 steps, so that samplers converge.

    Power: a step that stays longer than half of what it was.
    """
    grid = case.build()
    longest = {n: max(b - a for a, b in pairwise(grid.times(n))) for n in (10, 1000)}
    found = f"the longest step is {longest[10]:.3g} with 10 steps and {longest[1000]:.3g} with 1,000"
    require(longest[1000] <= longest[10] / 2, f"{found}; expected at most half of it")
