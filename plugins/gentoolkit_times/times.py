"""The quantile functions of the distributions."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.paths import Path

from . import LogitNormalConfig, UniformConfig


class Uniform:
    """t = u."""

    def __init__(self, config: UniformConfig) -> None:
        pass

    def quantile(self, u: Tensor, path: Path) -> Tensor:
        """Return u."""
        return u


class LogitNormal:
    """t = sigmoid(mean + std Phi^-1(u)), with the standard normal distribution function Phi."""

    def __init__(self, config: LogitNormalConfig) -> None:
        self.mean, self.std = config.mean, config.std

    def quantile(self, u: Tensor, path: Path) -> Tensor:
        """Return sigmoid(mean + std Phi^-1(u)). u = 0 has t = 0."""
        return torch.sigmoid(self.mean + self.std * torch.special.ndtri(u))
