"""The contract that held-out samples of a dataset are not among the training samples."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gentoolkit.protocols import Dataset
from gentoolkit.testing.contracts import Case, contract, require
from gentoolkit.testing.dataset import SPLITS, looked_at
from gentoolkit.testing.measures import FALSE_ALARM

#: A held-out sample is a near-duplicate if its distance to a training sample is below this share of the typical
#: distance between neighbors.
NEAR = 0.01
#: Probability of a near-duplicate by chance. The nearest of n points is that near with probability 1 - 2^-(NEAR^D) in D
#: dimensions, which is largest for D = 1.
NEAR_BY_CHANCE = 1 - 2**-NEAR


@contract("dataset.splits")
def splits(case: Case) -> None:
    """No held-out sample is equal or nearly equal to a training sample; otherwise memorization looks like learning.

    Nearly equal means that their distance is below 1 % of the typical distance between a training sample and its
    nearest neighbor. Repeats within a split are allowed, and conditions are not compared.

    Power: a single repeat; more near-duplicates than chance explains in one dimension, where they are most likely: 5 of
    24 samples, 24 of 1,024. In larger splits, 1,024 evenly spread samples are compared.
    """
    train, held_out = (_rows(case.build(split)) for split in SPLITS)
    nearest = torch.cat([_distances(row, train).amin(1) for row in held_out.split(64)])
    shared = int((nearest == 0).sum())
    require(not shared, f"{shared} of {len(nearest)} held-out samples are also training samples")
    distinct = train.unique(dim=0)
    if len(distinct) < 2:
        return
    usual = torch.cat([_distances(row, distinct).topk(2, largest=False).values[:, 1] for row in distinct.split(64)])
    near, most = int((nearest < NEAR * usual.median()).sum()), _most_by_chance(len(nearest), NEAR_BY_CHANCE)
    require(
        near <= most,
        f"{near} of {len(nearest)} held-out samples nearly equal a training sample: their distance is below {NEAR:.0%} "
        f"of the typical distance between neighbors, {usual.median():.3g}; expected at most {most} by chance",
    )


def _rows(dataset: Dataset) -> Tensor:
    """Return samples as rows (N, D) float64: x1, concatenated with x0 for paired data."""
    batch = dataset.batch(looked_at(dataset))
    return torch.cat([x.flatten(1) for x in (batch.x1, batch.x0) if x is not None], 1).double()


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Return the distances between rows, (N, M), accurate for rows that are nearly equal."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _most_by_chance(count: int, probability: float) -> int:
    """Return the number of successes in `count` trials that is exceeded with a probability below FALSE_ALARM."""
    left, most = 1.0, -1
    while left > FALSE_ALARM:
        most += 1
        left -= math.comb(count, most) * probability**most * (1 - probability) ** (count - most)
    return most
