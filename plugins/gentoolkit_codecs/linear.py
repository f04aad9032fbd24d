"""Linear maps that are computed from the covariance matrix of the training split."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from gentoolkit.api import DataSpec

from . import PcaConfig, WhitenConfig

#: Variances below this share of the largest count as zero: float32 data does not resolve them.
ZERO = 1e-12


class Linear(nn.Module):
    """z = encoder (x - mean), and x = mean + decoder z, of flattened samples.

    Attributes:
        mean: (D,).
        encoder: (K, D).
        decoder: (D, K).
    """

    mean: Tensor
    encoder: Tensor
    decoder: Tensor

    def __init__(self, config: Any, spec: DataSpec) -> None:
        super().__init__()
        self.config, self.shape, self.encoded_shape = config, spec.shape, config.spec(spec).shape
        size, encoded_size = math.prod(self.shape), math.prod(self.encoded_shape)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("encoder", torch.eye(encoded_size, size))
        self.register_buffer("decoder", torch.eye(size, encoded_size))

    def fit(self, chunks: Iterable[Tensor]) -> None:
        """Estimate the mean and the covariance matrix in float64, and derive the maps from its eigenvectors."""
        mean, covariance = mean_and_covariance(chunks)
        variances, axes = torch.linalg.eigh(covariance)
        variances, axes = variances.flip(0).clamp(min=0), axes.flip(1)  # the largest first
        self.mean.copy_(mean)
        for buffer, value in zip((self.encoder, self.decoder), self.maps(variances, axes), strict=True):
            buffer.copy_(value)

    def maps(self, variances: Tensor, axes: Tensor) -> tuple[Tensor, Tensor]:
        """Return encoder and decoder for variances (D,), the largest first, of the principal axes (D, D), columns."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> Tensor:
        """Return encoder (x - mean), (B, *S)."""
        return ((x.flatten(1) - self.mean) @ self.encoder.T).reshape(-1, *self.encoded_shape)

    def decode(self, z: Tensor) -> Tensor:
        """Return mean + decoder z, (B, *D)."""
        return (self.mean + z.flatten(1) @ self.decoder.T).reshape(-1, *self.shape)


class Pca(Linear):
    """The leading principal components. The largest element of each axis is positive, so that signs are determined."""

    config: PcaConfig

    def maps(self, variances: Tensor, axes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the leading axes, divided and multiplied by the standard deviations if components are whitened."""
        count = len(self.encoder)
        axes = axes[:, :count] * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()[:, :count]
        varies = self.config.whitened & (variances > ZERO * variances[0])
        stds = torch.where(varies, variances.sqrt(), 1.0)[:count]
        return (axes / stds).T, axes * stds


class Whiten(Linear):
    """z = C^(-1/2) (x - mean), with C the covariance matrix plus epsilon times the mean variance."""

    config: WhitenConfig

    def maps(self, variances: Tensor, axes: Tensor) -> tuple[Tensor, Tensor]:
        """Return C^(-1/2) and C^(1/2). Directions without any variance are kept."""
        total = variances + self.config.epsilon * variances.mean()
        stds = torch.where(total > ZERO * total[0], total.sqrt(), 1.0)
        return axes / stds @ axes.T, axes * stds @ axes.T


def mean_and_covariance(chunks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the mean (D,) and the covariance matrix (D, D) of flattened samples, merging chunks in float64.

    Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115, Eq. 2.1: no difference of large sums is taken.
    """
    count, mean, products = 0, torch.zeros(()).double(), torch.zeros(()).double()
    for chunk in chunks:
        x = chunk.flatten(1).double()
        own, size = x.mean(0), len(x)
        shift, total = own - mean, count + size
        mean = mean + shift * size / total
        products = products + (x - own).T @ (x - own) + shift.outer(shift) * count * size / total
        count = total
    return mean, products / max(count, 1)
