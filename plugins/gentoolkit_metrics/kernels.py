"""Distances by kernels: the maximum mean discrepancy (MMD) and the energy distance."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .on_features import OnFeatures
from .samples import OnSamples, chunks, distances, need, sorted_rows

#: Number of real samples that determine the width of a Gaussian kernel.
MOST = 4096

Kernel = Callable[[Tensor, Tensor], Tensor]


def unbiased_mmd(kernel: Kernel, real: Tensor, other: Tensor) -> float:
    """Return the unbiased estimate of MMD² with a kernel, a function of two sets; it may be negative.

    Gretton et al. 2012, "A Kernel Two-Sample Test", JMLR 13, Eq. 3.
    """

    def mean_of_pairs(rows: Tensor) -> float:
        start, sums = 0, []
        for part in chunks(rows, rows):
            values = kernel(part, rows)
            values.diagonal(start).zero_()  # a row with itself
            sums.append(values.sum().item())
            start += len(part)
        return sum(sums) / (len(rows) * (len(rows) - 1))

    between = total(kernel, real, other) / (len(real) * len(other))
    return mean_of_pairs(real) + mean_of_pairs(other) - 2 * between


def total(kernel: Kernel, a: Tensor, b: Tensor) -> float:
    """Return the sum of the kernel over all pairs of a row of a and a row of b."""
    return sum(kernel(part, b).sum().item() for part in chunks(a, b))


class KernelDistance(OnFeatures):
    """The unbiased MMD² of features with the kernel k(a, b) = (a·b / F + 1)³.

    Bińkowski et al. 2018, arXiv:1801.01401, Sec. 4. With Inception features, it is called KID. All samples are
    compared, not random subsets of them.
    """

    optimum = 0.0
    sees = frozenset({"shift", "scale"})

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the distance. ValueError: There are fewer than two samples."""
        need(2, real, other)
        return unbiased_mmd(_cubic, real, other)


def _cubic(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3


class SquaredMmd(OnSamples):
    """The unbiased MMD² with the kernel exp(-|a - b|² / (2 h²)), h the median distance between two real samples.

    Gretton et al. 2012, "A Kernel Two-Sample Test", JMLR 13, Eq. 3. There, h is the median over both sets; here, values
    for several sets of samples have the same kernel. Of more than `MOST` real samples, h is that of at most `MOST`.
    """

    optimum = 0.0
    sees = frozenset({"shift", "scale"})

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return MMD², nan if most real samples are equal. ValueError: There are fewer than two samples."""
        need(2, real, other)
        few = real if len(real) <= MOST else sorted_rows(real)[:: -(-len(real) // MOST)]
        scale = -0.5 / torch.pdist(few).median().square()
        return unbiased_mmd(lambda a, b: torch.exp(scale * distances(a, b).square()), real, other)


class EnergyDistance(OnSamples):
    """sqrt(2 E|X - Y| - E|X - X'| - E|Y - Y'|), as `scipy.stats.energy_distance` in one dimension.

    Székely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018, Eq. 2.1, which has the square.
    """

    optimum = 0.0
    sees = frozenset({"shift", "scale"})

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the distance. ValueError: There are no samples."""
        need(1, real, other)
        pairs = (real, other), (real, real), (other, other)
        between, within, within_other = (total(distances, a, b) / (len(a) * len(b)) for a, b in pairs)
        return math.sqrt(max(2 * between - within - within_other, 0.0))
