"""Gaussian mixtures and their exact posterior mean."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.api import UsageError
from gentoolkit.randomness import normal_rows, uniform_rows

from . import GaussianMixtureConfig
from .table import Table, split_rows

#: Smallest eigenvalue of a covariance matrix, relative to the largest, that counts as zero rather than as negative.
ROUNDING = -1e-12


class Mixture:
    """Components N(m_k, C_k) with probabilities w_k, and the posterior mean of a point given a noisy one.

    Given x_t = alpha x1 + sigma x0 with x0 ~ N(0, I), component k has a probability r_k proportional to
    w_k N(x_t; alpha m_k, S_k), where S_k = alpha² C_k + sigma² I. Given k as well, x1 and x_t are jointly normal, so

        E[x1 | x_t, k] = m_k + alpha C_k S_k^-1 (x_t - alpha m_k)    (Bishop 2006, Eq. 2.116),

    and E[x1 | x_t] is the mean of these weighted by r_k. In the eigenvectors of C_k all matrices are diagonal.

    Args:
        means: m, (K, D) float64.
        covariances: C, (K, D, D) float64.
        weights: w, (K,) float64, proportional to the probabilities.
    """

    def __init__(self, means: Tensor, covariances: Tensor, weights: Tensor) -> None:
        self.means, self.weights = means, weights / weights.sum()
        self.variances, self.axes = torch.linalg.eigh(covariances)  # (K, D), and (K, D, D) with an axis in each column

    def denoised(self, x_t: Tensor, alpha: Tensor, sigma: Tensor, label: Tensor | None) -> Tensor:
        """Return E[x1 | x_t], or E[x1 | x_t, k = label], (B, D); see `gentoolkit.protocols.KnownPosterior`."""
        alpha, sigma = alpha[:, None, None], sigma[:, None, None]
        total = alpha**2 * self.variances + sigma**2  # eigenvalues of S, (B, K, D)
        y = torch.einsum("bkd,kde->bke", x_t[:, None] - alpha * self.means, self.axes)
        means = self.means + torch.einsum("bke,kde->bkd", alpha * self.variances / total * y, self.axes)
        if label is not None:
            return means[torch.arange(len(label)), label]
        log_r = self.weights.log() - (y**2 / total + total.log()).sum(dim=2) / 2
        return torch.einsum("bk,bkd->bd", log_r.softmax(dim=1), means)


class GaussianMixture(Table):
    """The dataset. A sample depends only on (seed, index); held-out samples start at `num_samples`.

    Args:
        config: The dataset's config.
        split: "train" or "held_out".
        seed: The run's seed.

    Raises:
        UsageError: A covariance matrix has a negative eigenvalue.
    """

    def __init__(self, config: GaussianMixtureConfig, split: str, seed: int) -> None:
        means = torch.tensor(config.means, dtype=torch.float64)
        count, size = means.shape
        identity = torch.eye(size, dtype=torch.float64).expand(count, size, size)
        spread = identity * config.std**2 if config.std is not None else identity.new_tensor(config.covariances)
        self.mixture = Mixture(means, spread, means.new_tensor(config.weights or [1.0] * count))
        variances = self.mixture.variances
        for k in torch.nonzero(variances[:, 0] < ROUNDING * variances[:, -1]).flatten().tolist():
            message = f"covariances[{k}] has the negative eigenvalue {variances[k, 0]:.3g}; expected none below 0"
            raise UsageError(message, kind="dataset")
        rows = split_rows(config.num_samples, split)
        u = uniform_rows(seed, "gaussian mixture", rows, (), 1).double()
        labels = torch.searchsorted(self.mixture.weights.cumsum(0), u, right=True).clamp(max=count - 1)
        points = normal_rows(seed, "gaussian mixture", rows, (size,), 2).double()
        for k in range(count):
            roots = self.mixture.axes[k] * variances[k].clamp(min=0).sqrt()
            points[labels == k] = means[k] + points[labels == k] @ roots.T
        super().__init__(points.float(), labels if config.labels else None)

    def denoised(self, x_t: Tensor, alpha: Tensor, sigma: Tensor, condition: Tensor | None) -> Tensor:
        """Return E[x1 | x_t, condition], (B, D) float64; see `Mixture.denoised`."""
        return self.mixture.denoised(x_t, alpha, sigma, condition)
