"""Contracts for couplings: permutations of x0 that depend on nothing but the pairs."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from gentoolkit.configs import CouplingConfig
from gentoolkit.testing.contracts import MOST_SAMPLES, Case, contract, does_not_apply, require
from gentoolkit.testing.measures import equal_or_none, global_randomness_kept

#: Batch sizes: the smallest, an odd one, and the largest of the contracts.
SIZES = (1, 2, 37, MOST_SAMPLES)


def _batch(case: Case, count: int, draw: int = 0) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return x0, x1 and conditions, whose classes have different means."""
    shape = case.spec.shape
    condition = case.conditions(count)
    x1 = 1 + 2 * case.normal(count, *shape, draw=10 * draw + 1)
    if condition is not None:
        labels = condition.float().reshape(count, -1).mean(1)
        x1 = x1 + labels.reshape(-1, *(1,) * len(shape))
    return case.normal(count, *shape, draw=10 * draw), x1, condition


def observe(case: Case, coupling: Any) -> dict[str, Tensor]:
    """Return what must be equal for two equal couplings."""
    return {"rows": coupling.couple(*_batch(case, 37))}


@contract("coupling.permutation")
def permutation(case: Case) -> None:
    """`couple` returns a permutation, (B,) int64: every x0 is used once, so both marginal distributions stay.

    Power: any such fault in batches of 1, 2, 37 and 1,024 pairs, in two batches of each size.
    """
    coupling = case.build()
    for count in SIZES:
        for number in range(2):
            rows = coupling.couple(*_batch(case, count, number))
            got = (tuple(rows.shape), rows.dtype)
            expected = ((count,), torch.int64)
            require(got == expected, f"the rows for {count} pairs are {got}; expected {expected}")
            missing = count - len(rows.unique())
            inside = bool(((rows >= 0) & (rows < count)).all())
            require(inside and not missing, f"{missing} of {count} rows of x0 are not used; expected a permutation")


@contract("coupling.order")
def order(case: Case) -> None:
    """The pairs do not depend on the order in which x0 and x1 are given, each x1 with its condition.

    Power: one pair of 256 that changes when x0, or x1 with its condition, is shuffled.
    """
    if not _uses_batch(case):
        does_not_apply("the coupling keeps pairs as they are drawn")
    coupling, (x0, x1, condition) = case.build(), _batch(case, 256)
    rows = coupling.couple(x0, x1, condition)
    shuffle = torch.from_numpy(np.random.default_rng(case.seed).permutation(256))
    moved = None if condition is None else condition[shuffle]
    of_x1 = coupling.couple(x0, x1[shuffle], moved)
    require(torch.equal(of_x1, rows[shuffle]), f"{_changed(of_x1, rows[shuffle])} pairs change with the order of x1")
    of_x0 = shuffle[coupling.couple(x0[shuffle], x1, condition)]
    require(torch.equal(of_x0, rows), f"{_changed(of_x0, rows)} pairs change with the order of x0")


def _uses_batch(case: Case) -> bool:
    return cast("CouplingConfig", case.config).uses_batch


def _changed(a: Tensor, b: Tensor) -> str:
    return f"{int((a != b).sum())} of {len(a)}"


@contract("coupling.repeatable")
def repeatable(case: Case) -> None:
    """Equal batches have equal pairs, whatever was coupled before, and no global random generator is used.

    Power: one pair of 256; any draw from the global generators of torch, numpy and Python.
    """
    coupling, batch = case.build(), _batch(case, 256)
    with global_randomness_kept():
        first = coupling.couple(*batch)
        coupling.couple(*_batch(case, 256, 1))
        again = coupling.couple(*batch)
    require(torch.equal(first, again), f"{_changed(first, again)} pairs change when a batch is coupled again")


@contract("coupling.inputs_kept")
def inputs_kept(case: Case) -> None:
    """`couple` does not modify x0, x1 or the condition.

    Power: any changed element.
    """
    batch = _batch(case, 37)
    before = [None if part is None else part.clone() for part in batch]
    case.build().couple(*batch)
    for name, part, copy in zip(("x0", "x1", "condition"), batch, before, strict=True):
        require(equal_or_none(part, copy), f"{name} is modified")


@contract("coupling.unused")
def unused(case: Case) -> None:
    """A config with `uses_batch = False` keeps pairs as they are drawn; one with True changes them.

    With False, micro-batches draw only their own rows, and the coupling is never called.

    Power: one moved row of 37; a coupling that needs the whole batch for nothing.
    """
    uses = _uses_batch(case)
    kept = torch.equal(case.build().couple(*_batch(case, 37)), torch.arange(37))
    require(uses or kept, "pairs are changed, but uses_batch is False, so that training would never call the coupling")
    require(not uses or not kept, "pairs stay as they are; declare `uses_batch = False`")
