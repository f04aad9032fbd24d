"""What metrics share: the conversion of samples to rows, checks of their number, distances, and imports of extras."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from gentoolkit.api import DataSpec, MetricConfig, UsageError
from gentoolkit.protocols import Dataset

#: Number of pairs of rows that are compared at once, so that memory does not grow with the square of their number.
PAIRS = 2**24


def as_rows(x: Tensor) -> Tensor:
    """Return samples (N, *S) as float64 rows on the CPU, (N, D); not every device supports float64."""
    return x.detach().to("cpu", torch.float64).reshape(len(x), math.prod(x.shape[1:]))


class OnSamples:
    """A metric whose rows are the samples themselves; it has no state."""

    invariances = frozenset({"permutation"})

    def __init__(self, config: MetricConfig, spec: DataSpec, seed: int, train: Dataset) -> None:
        pass

    def prepare(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Return the samples as rows, (N, D) float64."""
        return as_rows(x)


def need(least: int, real: Tensor, other: Tensor) -> None:
    """Require at least `least` rows on each side.

    Raises:
        ValueError: There are fewer.
    """
    if min(len(real), len(other)) < least:
        raise ValueError(
            f"expected at least {least} real and {least} generated samples; got {len(real)} and {len(other)}"
        )


def imported(name: str, package: str) -> ModuleType:
    """Return a module of an extra. Raise UsageError if it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        raise UsageError(f"{package} is not installed: pip install 'gentoolkit[metrics]'") from None


def sorted_rows(rows: Tensor) -> Tensor:
    """Return the rows in lexicographic order."""
    return rows[torch.from_numpy(np.lexsort(rows.numpy().T[::-1]))]


def chunks(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    """Yield the rows of a in parts that have at most `PAIRS` pairs with rows of b."""
    yield from a.split(max(1, PAIRS // len(b)))


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Return |a_i - b_j|, (N, M), from differences: products lose the digits of small distances."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
