"""Standardization with statistics of the training split."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gentoolkit.api import DataSpec

from . import StandardizeConfig


class Standardize(nn.Module):
    """z = (x - mean) / std. A channel that is constant is only shifted.

    Attributes:
        mean: (C, 1, ...) with one number per channel, or () with one for all; so is `std`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: StandardizeConfig, spec: DataSpec) -> None:
        super().__init__()
        self.axes = tuple(range(1 if config.per_channel else 0, len(spec.shape)))  # of a sample, without the batch
        shape = (spec.shape[0], *(1,) * (len(spec.shape) - 1)) if config.per_channel else ()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def fit(self, chunks: Iterable[Tensor]) -> None:
        """Estimate mean and standard deviation, merging chunks in float64.

        Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115, Eq. 2.1: no difference of large sums is taken.
        """
        count, mean, squares = 0, torch.zeros(()).double(), torch.zeros(()).double()
        for chunk in chunks:
            x, axes = chunk.double(), (0, *(axis + 1 for axis in self.axes))
            own, size = x.mean(axes, keepdim=True), x.numel() // self.mean.numel()
            shift, total = own - mean, count + size
            mean = mean + shift * size / total
            squares = squares + (x - own).square().sum(axes, keepdim=True) + shift.square() * count * size / total
            count = total
        std = (squares / max(count, 1)).sqrt()
        self.mean.copy_(mean.reshape(self.mean.shape))
        varies = std > 1e-9 * mean.abs()  # a constant channel may have a tiny std, from the rounding of its mean
        self.std.copy_(torch.where(varies, std, 1.0).reshape(self.std.shape))

    def encode(self, x: Tensor) -> Tensor:
        """Return (x - mean) / std, (B, *S)."""
        return (x - self.mean) / self.std

    def decode(self, z: Tensor) -> Tensor:
        """Return mean + std z, (B, *S)."""
        return self.mean + self.std * z
