"""The predictions."""

from __future__ import annotations

from torch import Tensor

from gentoolkit.fields import Domain, Prediction
from gentoolkit.paths import Path

from . import DataConfig, EDMConfig, NoiseConfig, VelocityConfig


class Velocity(Prediction):
    """The network predicts the velocity."""

    def __init__(self, config: VelocityConfig) -> None:
        pass


class Data(Prediction):
    """The network predicts the data."""

    quantity = "denoised"

    def __init__(self, config: DataConfig) -> None:
        self.last_time = config.last_time

    def domain(self, path: Path) -> Domain:
        """Return the times up to `last_time`."""
        return 0.0, self.last_time


class Noise(Prediction):
    """The network predicts the noise."""

    quantity = "noise"

    def __init__(self, config: NoiseConfig) -> None:
        self.first_time = config.first_time

    def domain(self, path: Path) -> Domain:
        """Return the times from `first_time`."""
        return self.first_time, 1.0


class EDM(Prediction):
    """Karras et al. 2022, arXiv:2206.00364, Table 1, "Ours", with the noise level s = sigma / alpha of x_t / alpha."""

    quantity = "denoised"

    def __init__(self, config: EDMConfig) -> None:
        self.std, self.levels = config.data_std, (config.largest_noise, config.smallest_noise)

    def domain(self, path: Path) -> Domain:
        """Return the times with the largest and the smallest noise level."""
        first, last = (path.time_of(level) for level in self.levels)
        return first, last

    def input(self, t: Tensor, path: Path) -> Tensor:
        """Return c_in / alpha = 1 / (alpha sqrt(s² + std²))."""
        return (path.sigma(t) ** 2 + (path.alpha(t) * self.std) ** 2).rsqrt()

    def time(self, t: Tensor, path: Path) -> Tensor:
        """Return c_noise = ln(s) / 4."""
        return (path.sigma(t) / path.alpha(t)).log() / 4

    def skip(self, t: Tensor, path: Path) -> Tensor:
        """Return c_skip / alpha = std² / (alpha (s² + std²))."""
        alpha, variance = path.alpha(t), self.std**2
        return alpha * variance / (path.sigma(t) ** 2 + alpha**2 * variance)

    def scale(self, t: Tensor, path: Path) -> Tensor:
        """Return c_out = s std / sqrt(s² + std²)."""
        return path.sigma(t) * self.std * self.input(t, path)
