"""The Fréchet distance between features."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.api import DataSpec
from gentoolkit.protocols import Dataset, Features

from . import FrechetDistanceConfig
from .on_features import OnFeatures
from .samples import imported


def frechet_distance(mean: Tensor, cov: Tensor, other_mean: Tensor, other_cov: Tensor) -> float:
    """Return |m - m'|² + tr(C + C' - 2 (C C')^(1/2)), the squared Wasserstein-2 distance between two Gaussians.

    Dowson and Landau 1982, doi:10.1016/0047-259X(82)90077-X, Eq. 4. The eigenvalues of C C' are the squared singular
    values of C^(1/2) C'^(1/2), so no root of a matrix that is not symmetric is needed.
    """
    root = torch.linalg.svdvals(_root(cov).T @ _root(other_cov)).sum()
    return ((mean - other_mean).square().sum() + cov.trace() + other_cov.trace() - 2 * root).item()


def _root(cov: Tensor) -> Tensor:
    """Return R with R Rᵀ = cov, for a positive semidefinite matrix."""
    values, vectors = torch.linalg.eigh(cov)
    return vectors * values.clamp(min=0).sqrt()


class FrechetDistance(OnFeatures):
    """The Fréchet distance between Gaussians with the means and covariances of the features.

    Heusel et al. 2017, arXiv:1706.08500, Eq. 6. With Inception features, it is called FID. It is a squared distance,
    and biased: for n samples on each side, its mean is the distance of the distributions plus about c / n (Chong and
    Forsyth 2020, arXiv:1911.07023, Sec. 3).
    """

    optimum = 0.0
    sees = frozenset({"shift", "scale"})
    bias_order = 1.0

    def __init__(
        self, config: FrechetDistanceConfig, spec: DataSpec, seed: int, train: Dataset, features: Features
    ) -> None:
        super().__init__(config, spec, seed, train, features)
        self.shrunk = config.covariance == "ledoit_wolf"
        if self.shrunk:
            self.ledoit_wolf = imported("sklearn.covariance", "scikit-learn").ledoit_wolf

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the distance.

        Raises:
            ValueError: There are too few samples to determine the covariance of the features.
        """
        least = 2 if self.shrunk else real.shape[1] + 1
        if (count := min(len(real), len(other))) < least:
            raise ValueError(
                f"{count} samples can't determine the covariance of {real.shape[1]} features; expected at least "
                f"{least}: evaluate more samples, choose fewer features, or set covariance to ledoit_wolf"
            )
        return frechet_distance(*self._moments(real), *self._moments(other))

    def _moments(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        if not self.shrunk:
            return rows.mean(0), rows.T.cov().reshape(rows.shape[1], rows.shape[1])
        return rows.mean(0), torch.from_numpy(self.ledoit_wolf(rows.numpy())[0])
