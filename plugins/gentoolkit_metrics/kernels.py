"""Distances by kernels: the maximum mean discrepancy (MMD) and the energy distance."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.api import DataSpec, MetricConfig
from gentoolkit.protocols import Dataset

from .neighbors import distances
from .on_features import OnFeatures
from .samples import as_rows, need


def unbiased_mmd(within: Tensor, within_other: Tensor, between: Tensor) -> float:
    """Return the unbiased estimate of MMD² from kernel matrices (N, N), (M, M) and (N, M), which may be negative.

    Gretton et al. 2012, "A Kernel Two-Sample Test", JMLR 13, Eq. 3.
    """

    def mean_of_pairs(matrix: Tensor) -> Tensor:
        return (matrix.sum() - matrix.trace()) / (len(matrix) * (len(matrix) - 1))

    return (mean_of_pairs(within) + mean_of_pairs(within_other) - 2 * between.mean()).item()


class KernelDistance(OnFeatures):
    """The unbiased MMD² of features with the kernel k(a, b) = (a·b / F + 1)³.

    Bińkowski et al. 2018, arXiv:1801.01401, Sec. 4. With Inception features, it is called KID. All samples are compared
    at once, without random subsets.
    """

    optimum = 0.0
    sees = frozenset({"shift", "scale"})

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the distance. ValueError: There are fewer than two samples."""
        need(2, real, other)
        return unbiased_mmd(_cubic(real, real), _cubic(other, other), _cubic(real, other))


def _cubic(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3


class _OnSamples:
    """A metric whose rows are the samples themselves."""

    optimum = 0.0
    sees = frozenset({"shift", "scale"})
    invariances = frozenset({"permutation"})

    def __init__(self, config: MetricConfig, spec: DataSpec, seed: int, train: Dataset) -> None:
        pass

    def prepare(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Return the samples as rows, (N, D) float64."""
        return as_rows(x)


class SquaredMmd(_OnSamples):
    """The unbiased MMD² with the kernel exp(-|a - b|² / (2 h²)), h the median distance between two real samples.

    Gretton et al. 2012, "A Kernel Two-Sample Test", JMLR 13, Eq. 3. There, h is the median over both sets; here, values
    for several sets of samples have the same kernel.
    """

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return MMD², nan if most real samples are equal. ValueError: There are fewer than two samples."""
        need(2, real, other)
        scale = -0.5 / torch.pdist(real).median().square()
        return unbiased_mmd(*(torch.exp(scale * distances(*pair).square()) for pair in _pairs(real, other)))


class EnergyDistance(_OnSamples):
    """sqrt(2 E|X - Y| - E|X - X'| - E|Y - Y'|), as `scipy.stats.energy_distance` in one dimension.

    Székely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018, Eq. 2.1, which has the square.
    """

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the distance. ValueError: There are no samples."""
        need(1, real, other)
        within, within_other, between = (distances(*pair).mean() for pair in _pairs(real, other))
        return (2 * between - within - within_other).clamp(min=0).sqrt().item()


def _pairs(real: Tensor, other: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
    return (real, real), (other, other), (real, other)
