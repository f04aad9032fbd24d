"""The sliced Wasserstein-2 distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gentoolkit.api import DataSpec
from gentoolkit.protocols import Dataset
from gentoolkit.randomness import numpy_generator

from . import SlicedWassersteinConfig
from .samples import as_rows, need


def squared_wasserstein(a: Tensor, b: Tensor) -> Tensor:
    """Return the squared Wasserstein-2 distance between the columns of a, (N, L), and of b, (M, L): (L,).

    In one dimension, the optimal plan matches equal quantiles: W2² = ∫ (q_a(u) - q_b(u))² du over u from 0 to 1. Both
    quantile functions are constant between neighboring levels of the merged i / N and j / M, so the integral is a
    finite sum, which is exact even for unequal counts. Here the levels are integers in units of 1 / (N M).
    """
    n, m = len(a), len(b)
    ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    gaps = a.sort(dim=0).values[starts // m] - b.sort(dim=0).values[starts // n]
    return ((ends - starts).to(gaps) / (n * m)) @ gaps.square()


class SlicedWasserstein:
    """sqrt(mean over directions of W2²) between real and generated samples projected on unit directions.

    Bonneel et al. 2015, "Sliced and Radon Wasserstein Barycenters of Measures", doi:10.1007/s10851-014-0506-3:
    SW² = mean over unit θ of W2²(θ·real, θ·generated), here over `num_projections` random θ instead of the whole
    sphere. The value has the unit of the data: if all samples are shifted by a vector a, it is about |a| / sqrt(D).

    Attributes:
        directions: The unit directions θ, (L, D) float64, which depend only on the config and D.
    """

    optimum = 0.0
    sees = frozenset({"shift", "scale"})
    invariances = frozenset({"permutation"})

    def __init__(self, config: SlicedWassersteinConfig, spec: DataSpec, seed: int, train: Dataset) -> None:
        num_dims = math.prod(spec.shape)
        generator = numpy_generator(config.seed, "sliced_wasserstein", num_dims)
        draws = torch.from_numpy(generator.standard_normal((config.num_projections, num_dims)))
        self.directions = draws / draws.norm(dim=1, keepdim=True)

    def prepare(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Return the projections of the samples, (N, L) float64."""
        return as_rows(x) @ self.directions.T

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the distance. ValueError: There are no samples."""
        need(1, real, other)
        return squared_wasserstein(real, other).mean().sqrt().item()
