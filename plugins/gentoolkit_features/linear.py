"""The samples themselves, and their principal components."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from gentoolkit.api import DataSpec
from gentoolkit.protocols import Dataset

from . import IdentityConfig, PcaConfig

#: Number of samples that are read at once.
CHUNK = 1024


def as_rows(x: Tensor) -> Tensor:
    """Return samples (N, *S) as float64 rows, (N, D)."""
    return x.detach().to("cpu", torch.float64).flatten(1)


class Identity:
    """The values of the sample, (N, D) float64."""

    preprocessing = "none"

    def __init__(self, config: IdentityConfig, spec: DataSpec, seed: int, train: Dataset) -> None:
        pass

    def __call__(self, x: Tensor) -> Tensor:
        """Return the samples as rows."""
        return as_rows(x)


class Pca(nn.Module):
    """(x - mean) @ directions, where the directions are the leading eigenvectors of the training data's covariance."""

    preprocessing = "subtract the mean of the training data"

    def __init__(self, config: PcaConfig, spec: DataSpec, seed: int, train: Dataset) -> None:
        super().__init__()
        count = len(train)
        mean = sum((rows.sum(0) for rows in _chunks(train)), torch.zeros(())) / count
        products = sum(((rows - mean).T @ (rows - mean) for rows in _chunks(train)), torch.zeros(()))
        _, vectors = torch.linalg.eigh(products / count)  # in ascending order
        self.register_buffer("mean", mean)
        self.register_buffer("directions", vectors.flip(1)[:, : config.num_components].contiguous())
        self.mean: Tensor
        self.directions: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return the components of samples (N, *S): (N, F) float64."""
        return (as_rows(x) - self.mean) @ self.directions


def _chunks(train: Dataset) -> Iterator[Tensor]:
    for start in range(0, len(train), CHUNK):
        yield as_rows(train.batch(np.arange(start, min(start + CHUNK, len(train)))).x1)
