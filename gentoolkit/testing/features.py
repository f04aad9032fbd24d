"""Contracts for features: maps from samples to the vectors in which metrics compare them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gentoolkit.api import Labels
from gentoolkit.protocols import Batch, Classifier, Features
from gentoolkit.testing.contracts import Case, contract, does_not_apply, require
from gentoolkit.testing.measures import global_randomness_kept, largest_difference

#: Number of samples to map, and of samples in the training split.
COUNT, TRAIN_COUNT = 64, 256
#: Largest relative difference that float32 rounding in a deep network explains: some thousand units of 2^-23.
ROUNDING = 1e-4


@dataclass(frozen=True)
class Split:
    """A training split in memory."""

    whole: Batch

    def __len__(self) -> int:
        return len(self.whole)

    def batch(self, indices: np.ndarray) -> Batch:
        """Return the samples at `indices`."""
        rows = torch.from_numpy(indices)
        return self.whole.map(lambda part: part[rows])


def labeled(case: Case, count: int, draw: int = 0) -> Batch:
    """Return normal samples with conditions; those of a class have their mean between -3 and 3."""
    x, condition = case.normal(count, *case.spec.shape, draw=draw), case.conditions(count)
    if isinstance(case.spec.condition, Labels) and condition is not None:
        means = torch.linspace(-3, 3, case.spec.condition.num_classes + 1)[condition]
        x = x + means.reshape(-1, *(1,) * len(case.spec.shape))
    return Batch(x, condition)


def arguments(case: Case) -> dict[str, Any]:
    """Return a training split for the factory."""
    return {"train": Split(labeled(case, TRAIN_COUNT, 7))}


def _outputs(features: Features, x: Tensor) -> dict[str, Tensor]:
    classes = {"classes": features.classes(x)} if isinstance(features, Classifier) else {}
    return {"features": features(x).detach(), **classes}


def observe(case: Case, features: Features) -> dict[str, Tensor]:
    """Return what must be equal for two equal features."""
    return _outputs(features, labeled(case, COUNT).x1)


@contract("features.rows")
def rows(case: Case) -> None:
    """Features are finite vectors of one length, which depend only on their sample; no generator is used.

    Power: a relative difference of 1e-3 in 64 samples, in reverse order and in parts of 7; any draw from the global
    generators of torch, numpy and Python; any changed element of the input.
    """
    features, x = case.build(), labeled(case, COUNT).x1
    before = x.clone()
    with global_randomness_kept():
        whole = features(x)
        again = {"again": features(x), "in reverse order": features(x.flip(0)).flip(0)}
        again["in parts of 7"] = torch.cat([features(part) for part in x.split(7)])
    require(torch.equal(x, before), "the input is modified")
    got = tuple(whole.shape), whole.dtype
    right = whole.ndim == 2 and len(whole) == COUNT and whole.dtype in (torch.float32, torch.float64)
    require(right, f"the features of {COUNT} samples are {got}; expected ({COUNT}, F), torch.float32 or torch.float64")
    require(whole.isfinite().all(), "the features are not finite")
    for how, other in again.items():
        difference = largest_difference(other, whole)
        require(difference <= ROUNDING, f"features differ by {difference:.1e} when samples are passed {how}")


@contract("features.distinct")
def distinct(case: Case) -> None:
    """Different samples have different features.

    Power: two equal rows for 64 samples; features that ignore their input.
    """
    whole = case.build()(labeled(case, COUNT).x1)
    count = len(whole.unique(dim=0))
    require(count == COUNT, f"{COUNT} different samples have only {count} different vectors of features")


@contract("features.state")
def state(case: Case) -> None:
    """What is learned from the training split is in the state dict, whose hash is recorded with the results.

    Power: features that differ for another training split or seed, although no tensor of the state dict does.
    """
    other = Split(labeled(case, TRAIN_COUNT, 8))
    made = [case.build(), case.build(seed=1, train=other)]
    outputs = [_outputs(features, labeled(case, COUNT).x1)["features"] for features in made]
    if torch.equal(*outputs):
        does_not_apply("the features do not depend on the training split")
    require(all(isinstance(features, nn.Module) for features in made), "it learns, but it is not a torch.nn.Module")
    first, second = (features.state_dict() for features in made)
    equal = all(torch.equal(value, second[name]) for name, value in first.items())
    require(not equal, "features differ for another training split, but their state dicts are equal")


@contract("features.classes")
def classes(case: Case) -> None:
    """Features that offer "classes" return a label for each sample, and others have no method `classes`.

    Power: a wrong type or number of labels, or one outside of the range, in 64 samples.
    """
    features, offered = case.build(), "classes" in case.config.offers()
    has = isinstance(features, Classifier)
    require(has == offered, f"its config {'offers' if offered else 'does not offer'} 'classes', unlike the features")
    condition = case.spec.condition
    if not offered or not isinstance(condition, Labels):
        does_not_apply("the features are not those of a classifier")
    found = features.classes(labeled(case, COUNT).x1)
    got = tuple(found.shape), found.dtype
    require(got == ((COUNT,), torch.int64), f"classes of {COUNT} samples are {got}; expected (({COUNT},), torch.int64)")
    inside = bool((found >= 0).all() and (found < condition.num_classes).all())
    require(inside, f"labels are {found.min()} to {found.max()}; expected 0 to {condition.num_classes - 1}")
