"""Sources whose draws are keyed by row."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from gentoolkit.api import DataSpec, UsageError
from gentoolkit.protocols import Dataset
from gentoolkit.randomness import integer_rows, normal_rows

from . import DatasetSourceConfig, GaussianConfig


class Gaussian:
    """x0 ~ N(0, I)."""

    def __init__(self, config: GaussianConfig, spec: DataSpec) -> None:
        self.shape = spec.shape

    def draw(self, seed: int, purpose: str, rows: np.ndarray) -> Tensor:
        """Return standard normal rows, (N, *S)."""
        return normal_rows(seed, purpose, rows, self.shape)


class DatasetSource:
    """Training samples of a dataset. Row r is the sample at a random index that depends on r.

    Raises:
        UsageError: The dataset has no training samples.
    """

    def __init__(self, config: DatasetSourceConfig, spec: DataSpec, dataset: Dataset) -> None:
        self.dataset = dataset
        if not len(dataset):
            raise UsageError("its dataset has no training samples; use one with at least one sample", kind="source")

    def draw(self, seed: int, purpose: str, rows: np.ndarray) -> Tensor:
        """Return the samples at random indices, (N, *S)."""
        return self.dataset.batch(integer_rows(seed, purpose, rows, len(self.dataset))).x1
