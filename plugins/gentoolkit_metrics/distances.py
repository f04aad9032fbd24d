"""The sliced Wasserstein-2 distance."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

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


@lru_cache(maxsize=4)  # an evaluation creates an object per class and comparison, all with the same directions
def _directions(seed: int, count: int, num_dims: int) -> Tensor:
    generator = numpy_generator(seed, "sliced_wasserstein", num_dims)
    draws = torch.from_numpy(generator.standard_normal((count, num_dims)))
    return draws / draws.norm(dim=1, keepdim=True)


class SlicedWasserstein:
    """sqrt(mean over directions of W2²) between real and generated samples projected on unit directions.

    Bonneel et al. 2015, "Sliced and Radon Wasserstein Barycenters of Measures", doi:10.1007/s10851-014-0506-3:
    SW² = mean over unit θ of W2²(θ·real, θ·generated), here over `num_projections` random θ instead of the whole
    sphere. The value has the unit of the data: if all samples are shifted by a vector a, it is about |a| / sqrt(D).
    """

    optimum = 0.0
    sees = frozenset({"shift", "scale"})
    invariances = frozenset({"permutation"})

    def __init__(self, config: SlicedWassersteinConfig) -> None:
        self._config = config
        self._directions: Tensor | None = None
        self._real: list[Tensor] = []
        self._generated: list[Tensor] = []

    def directions(self, num_dims: int) -> Tensor:
        """Return the unit directions, (L, D) float64, which depend only on the config and D."""
        return _directions(self._config.seed, self._config.num_projections, num_dims)

    def spread(self, num_samples: int, num_dims: int) -> float:
        """Return a bound on the value for two sets of n standard normal vectors, which is exceeded with P < 2e-8.

        Bound on the mean: each projected set is n draws of N(0, 1), and W2² = mean_i (x_i - y_i)² over the sorted
        draws, so E W2² = (2 / n) sum_i Var x_i = 2 (1 - mean_i m_i²) with m_i = E x_i. With the normal quantile
        function q and p_i = i / (n + 1), |m_i| >= |q(p_i)|, so E value <= sqrt(E value²)
        <= sqrt(2 (1 - mean_i q(p_i)²)). Proof of |m_i| >= |q(p_i)|: by symmetry, let p = p_i >= 1/2. Let b be the
        density Beta(i, n + 1 - i) of the level of x_i. Then m_i = ∫ q(u) (b(u) - b(1 - u)) du over u from 1/2 to 1. The
        bracket is >= 0. Its integral is some w <= 1, and that of (u - 1/2) times the bracket is p - 1/2. On [1/2, 1), q
        is convex and therefore above its tangent at p, and q(1/2) = 0. Hence
        m_i >= w (q(p) - q'(p) (p - 1/2)) + q'(p) (p - 1/2) >= q(p), since the factor of w is <= 0.

        Bound on the deviation from the mean: by the triangle inequality, a change of the sets by dX and dY changes the
        value by at most SW(X, X + dX) + SW(Y, Y + dY), and SW(X, X + dX)² <= trace(dX A dXᵀ) / n <= a |dX|² / n, where
        a is the largest eigenvalue of A, the mean of θθᵀ. The value is therefore sqrt(2 a / n)-Lipschitz in 2 n D
        standard normal numbers, and exceeds its mean by 6 sqrt(2 a / n) with P <= exp(-6² / 2) (Boucheron et al. 2013,
        "Concentration Inequalities", Thm. 5.6).
        """
        levels = torch.arange(1, num_samples + 1, dtype=torch.float64) / (num_samples + 1)
        mean_square = 2 * (1 - torch.special.ndtri(levels).square().mean().item())
        a = torch.linalg.matrix_norm(self.directions(num_dims), ord=2).item() ** 2 / self._config.num_projections
        return math.sqrt(mean_square) + 6 * math.sqrt(2 * a / num_samples)

    def update(self, real: Tensor, generated: Tensor) -> None:
        """Add samples (N, *S) and (M, *S); either may be empty. Only their projections are kept.

        Raises:
            ValueError: The sample shapes differ, or the number of dimensions differs from earlier samples.
        """
        known = None if self._directions is None else self._directions.shape[1]
        real, generated = as_rows(real, generated, known)
        if self._directions is None:
            self._directions = self.directions(real.shape[1])
        self._real.append(real @ self._directions.T)
        self._generated.append(generated @ self._directions.T)

    def compute(self) -> float:
        """Return the distance for all samples so far.

        Raises:
            ValueError: There are no real or no generated samples.
        """
        need(1, sum(map(len, self._real)), sum(map(len, self._generated)))
        return squared_wasserstein(torch.cat(self._real), torch.cat(self._generated)).mean().sqrt().item()
