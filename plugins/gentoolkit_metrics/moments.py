"""Metrics of the first two moments: the mean and the deviation from the mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from . import ClassMeanRmseConfig, ResidualStdRatioConfig
from .samples import as_rows, need


@dataclass(frozen=True)
class Moments:
    """Count, mean (D,) and sum over samples and dimensions of the squared deviations from the mean."""

    count: int
    mean: Tensor
    squares: float

    @staticmethod
    def of(rows: Tensor) -> Moments:
        """Return the moments of rows, (N, D); N may be 0."""
        mean = rows.sum(dim=0) / max(len(rows), 1)
        return Moments(len(rows), mean, (rows - mean).square().sum().item())

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of the union (Chan et al. 1983, doi:10.1080/00031305.1983.10483115).

        S_ab = S_a + S_b + |mean_b - mean_a|² n_a n_b / (n_a + n_b), which avoids differences of large squares.
        """
        count = max(self.count + other.count, 1)
        gap = other.mean - self.mean
        between = gap.square().sum().item() * self.count * other.count / count
        mean = self.mean + gap * (other.count / count)
        return Moments(self.count + other.count, mean, self.squares + other.squares + between)

    @property
    def variance(self) -> float:
        """The unbiased variance around the mean, averaged over the dimensions."""
        return self.squares / ((self.count - 1) * len(self.mean))


class _MomentMetric:
    """Base class that collects the moments of real and generated samples."""

    invariances = frozenset({"permutation"})

    def __init__(self) -> None:
        self._real: Moments | None = None
        self._generated: Moments | None = None

    def update(self, real: Tensor, generated: Tensor) -> None:
        """Add samples (N, *S) and (M, *S); either may be empty.

        Raises:
            ValueError: The sample shapes differ, or the number of dimensions differs from earlier samples.
        """
        known = None if self._real is None else len(self._real.mean)
        sides = [Moments.of(rows) for rows in as_rows(real, generated, known)]
        self._real = sides[0] if self._real is None else self._real + sides[0]
        self._generated = sides[1] if self._generated is None else self._generated + sides[1]

    def _moments(self, least: int) -> tuple[Moments, Moments]:
        if self._real is None or self._generated is None:
            raise ValueError("no samples: call update() before compute()")
        need(least, self._real.count, self._generated.count)
        return self._real, self._generated


class ClassMeanRmse(_MomentMetric):
    """sqrt(mean over dimensions of (mean of generated - mean of real)²), in the unit of the data.

    It does not use labels; pass it the samples of one class.
    """

    optimum = 0.0
    sees = frozenset({"shift"})

    def __init__(self, config: ClassMeanRmseConfig) -> None:
        super().__init__()

    def spread(self, num_samples: int, num_dims: int) -> float:
        """Return a bound on the value for two sets of n standard normal vectors, which is exceeded with P < 2e-8.

        The D differences between the means are N(0, 2 / n), so the value is sqrt(2 / n) |g| / sqrt(D) for a standard
        normal vector g. |g| is 1-Lipschitz with E |g| <= sqrt(D), so |g| > sqrt(D) + 6 with P <= exp(-6² / 2)
        (Boucheron et al. 2013, "Concentration Inequalities", Thm. 5.6).
        """
        return math.sqrt(2 / num_samples) * (1 + 6 / math.sqrt(num_dims))

    def compute(self) -> float:
        """Return the distance between the means of all samples so far.

        Raises:
            ValueError: There are no real or no generated samples.
        """
        real, generated = self._moments(least=1)
        return (generated.mean - real.mean).square().mean().sqrt().item()


class ResidualStdRatio(_MomentMetric):
    """Standard deviation of generated samples around their own mean, divided by that of real samples; dimensionless.

    The standard deviation is the square root of the unbiased variance averaged over all dimensions. Values below 1 mean
    that the generated samples vary too little, values above 1 that they vary too much.
    """

    optimum = 1.0
    sees = frozenset({"scale"})
    invariances = frozenset({"permutation", "shift"})

    def __init__(self, config: ResidualStdRatioConfig) -> None:
        super().__init__()

    def spread(self, num_samples: int, num_dims: int) -> float:
        """Return a bound on |value - 1| for two sets of n standard normal vectors, which is exceeded with P < 4e-8.

        With k = D (n - 1), value² = A / B of two independent χ²(k) numbers. For f > 1 and every 0 < s < 1/2,
        P(A >= f B) <= E exp(s (A - f B)) = ((1 - 2 s) (1 + 2 s f))^(-k/2); the best s = (f - 1) / (4 f) gives
        ((f + 1)² / (4 f))^(-k/2), which for f = r² is cosh(ln r)^(-k). That is exp(-18) at ln r = acosh(exp(18 / k)).
        A and B can be exchanged, so the value is also above 1 / r, which is closer to 1 than r is.
        """
        k = num_dims * (num_samples - 1)
        if k < 1:
            raise ValueError(f"num_samples is {num_samples}; expected at least 2")
        return math.expm1(math.acosh(math.exp(18 / k)))

    def compute(self) -> float:
        """Return the ratio for all samples so far; inf or nan if all real samples are equal.

        Raises:
            ValueError: There are fewer than two real or generated samples.
        """
        real, generated = self._moments(least=2)
        if real.variance == 0:
            return math.nan if generated.variance == 0 else math.inf
        return math.sqrt(generated.variance / real.variance)
