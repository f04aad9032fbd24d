"""Distances by kernels: the maximum mean discrepancy (MMD)."""

from __future__ import annotations

from torch import Tensor

from .on_features import OnFeatures
from .samples import need


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
