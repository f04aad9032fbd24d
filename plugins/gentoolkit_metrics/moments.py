"""Metrics of the first two moments: the mean and the deviation from the mean."""

from __future__ import annotations

import math

from torch import Tensor

from .samples import OnSamples, need


class ClassMeanRmse(OnSamples):
    """sqrt(mean over dimensions of (mean of generated - mean of real)²), in the unit of the data.

    It does not use labels; pass it the samples of one class.
    """

    optimum = 0.0
    sees = frozenset({"shift"})

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the distance between the means. ValueError: There are no samples."""
        need(1, real, other)
        return (other.mean(0) - real.mean(0)).square().mean().sqrt().item()


class ResidualStdRatio(OnSamples):
    """Standard deviation of generated samples around their own mean, divided by that of real samples; dimensionless.

    The standard deviation is the square root of the unbiased variance averaged over all dimensions. Values below 1 mean
    that the generated samples vary too little, values above 1 that they vary too much.
    """

    optimum = 1.0
    sees = frozenset({"scale"})
    invariances = frozenset({"permutation", "shift"})

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the ratio; inf or nan if all real samples are equal. ValueError: There are fewer than two samples."""
        need(2, real, other)
        expected, found = (rows.var(0).mean().item() for rows in (real, other))
        if expected == 0:
            return math.nan if found == 0 else math.inf
        return math.sqrt(found / expected)
