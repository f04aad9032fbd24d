"""Contracts for loss weightings."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.paths import LINEAR
from gentoolkit.protocols import Weighting
from gentoolkit.testing.contracts import Case, contract, require
from gentoolkit.testing.measures import VISIBLE, global_randomness_kept, largest_difference

#: Number of times strictly between 0 and 1.
TIMES = 255


def _times(dtype: torch.dtype = torch.float64) -> Tensor:
    return ((torch.arange(TIMES, dtype=torch.float64) + 1) / (TIMES + 1)).to(dtype)


def observe(case: Case, weighting: Weighting) -> dict[str, Tensor]:
    """Return what must be equal for two equal weightings."""
    return {"weights": weighting.weight(_times(), LINEAR)}


@contract("weighting.weight")
def weight(case: Case) -> None:
    """The weights have the shape and dtype of t, and are finite and not negative.

    At 255 times between 0 and 1; at the ends a weight may be infinite.

    Power: any such fault at one of these times, in float32 or float64.
    """
    weighting = case.build()
    for dtype in (torch.float32, torch.float64):
        t = _times(dtype)
        weights = weighting.weight(t, LINEAR)
        got, expected = (tuple(weights.shape), weights.dtype), (tuple(t.shape), dtype)
        require(got == expected, f"the weights for t {expected} are {got}; expected the same shape and dtype")
        wrong = ~(weights.isfinite() & (weights >= 0))
        require(not wrong.any(), f"the weight at t = {t[wrong][:1].tolist()} is {weights[wrong][:1].tolist()}")


@contract("weighting.rows")
def rows(case: Case) -> None:
    """A weight depends only on its own t: a normalization over the batch would make accumulation change the loss.

    Power: a relative difference of 1e-12, and any draw from the global generators.
    """
    weighting, t = case.build(), _times()
    with global_randomness_kept():
        together, alone = weighting.weight(t, LINEAR), torch.cat([weighting.weight(one[None], LINEAR) for one in t])
    error = largest_difference(together, alone)
    require(error <= 1e-12, f"a weight changes by {error:.1e} with the other times of a batch")


@contract("weighting.coverage")
def coverage(case: Case) -> None:
    """Every sixteenth of the times is trained: its largest weight exceeds 1e-6 of the median.

    Power: an interval of 1/8 with weights below 1e-6 of the median, or of 1/16 at either end.
    """
    weights = case.build().weight(_times(), LINEAR)
    largest = torch.stack([part.max() for part in weights.chunk(16)])
    (faint,) = (largest <= VISIBLE * weights.median()).nonzero(as_tuple=True)
    require(not len(faint), f"sixteenths {faint.tolist()} of the times (counted from 0) have no weight")
