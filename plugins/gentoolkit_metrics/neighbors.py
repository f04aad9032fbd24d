"""Precision, recall, density and coverage: overlaps of the balls that reach to the k-th nearest neighbor."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.api import DataSpec
from gentoolkit.protocols import Dataset, Features

from . import NeighborsConfig
from .on_features import OnFeatures
from .samples import chunks, distances


def radii(rows: Tensor, k: int) -> Tensor:
    """Return the distance from each row to its k-th nearest other row, (N,)."""
    parts = [distances(part, rows).kthvalue(k + 1, dim=1).values for part in chunks(rows, rows)]
    return torch.cat(parts)  # the nearest is the row itself, hence k + 1


class OnNeighbors(OnFeatures):
    """A metric that depends on the k nearest neighbors in the space of the features."""

    def __init__(self, config: NeighborsConfig, spec: DataSpec, seed: int, train: Dataset, features: Features) -> None:
        super().__init__(config, spec, seed, train, features)
        self.k = config.neighbors

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the value. ValueError: A set has no more than k samples."""
        if min(len(real), len(other)) <= self.k:
            raise ValueError(
                f"{self.k} neighbors need at least {self.k + 1} samples; "
                f"got {len(real)} real and {len(other)} generated"
            )
        return self.of(real, other)

    def of(self, real: Tensor, other: Tensor) -> float:
        """Return the value for enough samples."""
        raise NotImplementedError


class Precision(OnNeighbors):
    """The share of generated samples that lie in the ball of a real one (Kynkäänniemi et al. 2019, arXiv:1904.06991).

    For equal distributions it is slightly below 1.
    """

    optimum = 1.0
    sees = frozenset({"shift"})

    def of(self, real: Tensor, other: Tensor) -> float:
        """Return mean_j 1[any_i |y_j - x_i| <= r(x_i)]."""
        reach = radii(real, self.k)
        return sum(int((distances(part, real) <= reach).any(1).sum()) for part in chunks(other, real)) / len(other)


class Recall(Precision):
    """The share of real samples that lie in the ball of a generated one (Kynkäänniemi et al. 2019, arXiv:1904.06991).

    For equal distributions it is slightly below 1.
    """

    def of(self, real: Tensor, other: Tensor) -> float:
        """Return mean_i 1[any_j |x_i - y_j| <= r(y_j)]."""
        return super().of(other, real)


class Density(OnNeighbors):
    """The number of balls of real samples around a generated one, divided by k (Naeem et al. 2020, arXiv:2002.09797).

    A point lies in the ball of x_i if it is one of the k nearest among all others, so for equal distributions the mean
    is exactly 1. It exceeds 1 if the generated samples are concentrated where real ones are dense.
    """

    optimum = 1.0
    sees = frozenset({"shift", "scale"})

    def of(self, real: Tensor, other: Tensor) -> float:
        """Return sum_ij 1[|y_j - x_i| < r(x_i)] / (k M)."""
        reach = radii(real, self.k)
        inside = sum(int((distances(part, real) < reach).sum()) for part in chunks(other, real))
        return inside / (self.k * len(other))


class Coverage(OnNeighbors):
    """The share of real samples with a generated one in their ball (Naeem et al. 2020, arXiv:2002.09797).

    For equal distributions and counts, the k nearest of a real sample are all real with a probability of about 2^-k,
    whatever the distribution, as the paper derives, so the optimum is 1 - 2^-k.
    """

    sees = frozenset({"shift", "scale"})

    @property
    def optimum(self) -> float:
        """The value for equal distributions and equal, large numbers of samples."""
        return 1 - 0.5**self.k

    def of(self, real: Tensor, other: Tensor) -> float:
        """Return mean_i 1[min_j |x_i - y_j| < r(x_i)]."""
        nearest = torch.cat([distances(part, other).amin(1) for part in chunks(real, other)])
        return (nearest < radii(real, self.k)).double().mean().item()
