"""The contract of datasets on what is held out: it must not be known from training."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gentoolkit.protocols import Dataset
from gentoolkit.testing.contracts import Case, contract, require
from gentoolkit.testing.dataset import SPLITS, looked_at
from gentoolkit.testing.measures import FALSE_ALARM

#: Held-out samples nearer to a training sample than this share of the usual distance between neighbors are repeats...
NEAR = 0.01
#: ... unless they are as few as chance gives. The nearest of n points is so near with probability 1 - 2^-(NEAR^D) in D
#: dimensions: the most for D = 1.
NEAR_BY_CHANCE = 1 - 2**-NEAR


@contract("dataset.splits")
def splits(case: Case) -> None:
    """No held-out sample is a training sample, or nearly one: else a model that memorizes looks as if it generalized.

    Nearly: its distance from one is below 1 % of the usual distance between a training sample and its nearest other.
    Repeats within a split are no fault, and the conditions are not looked at.

    Power: a single repeat; near-duplicates as soon as they are too many for chance (in one dimension, which gives the
    most): 5 of 24 samples, 24 of 1,024. Of larger splits, 1,024 samples spread evenly are compared.
    """
    train, held_out = (_rows(case.build(split)) for split in SPLITS)
    nearest = torch.cat([_distances(row, train).amin(1) for row in held_out.split(64)])
    shared = int((nearest == 0).sum())
    require(not shared, f"{shared} of {len(nearest)} held-out samples are in train, too")
    distinct = train.unique(dim=0)
    if len(distinct) < 2:
        return
    usual = torch.cat([_distances(row, distinct).topk(2, largest=False).values[:, 1] for row in distinct.split(64)])
    near, most = int((nearest < NEAR * usual.median()).sum()), _most_by_chance(len(nearest), NEAR_BY_CHANCE)
    require(
        near <= most,
        f"{near} of {len(nearest)} held-out samples are nearly in train: nearer to a training sample than {NEAR:.0%} "
        f"of the usual distance between neighbors, {usual.median():.3g}; chance gives at most {most}",
    )


def _rows(dataset: Dataset) -> Tensor:
    """Return samples as rows (N, D) float64: x1, and beside it x0 for pairs."""
    batch = dataset.batch(looked_at(dataset))
    return torch.cat([x.flatten(1) for x in (batch.x1, batch.x0) if x is not None], 1).double()


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Return the distances of rows (N, M), exact for rows that are nearly equal."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _most_by_chance(count: int, probability: float) -> int:
    """Return the number of successes in `count` trials that is exceeded with a probability below FALSE_ALARM."""
    left, most = 1.0, -1
    while left > FALSE_ALARM:
        most += 1
        left -= math.comb(count, most) * probability**most * (1 - probability) ** (count - most)
    return most
