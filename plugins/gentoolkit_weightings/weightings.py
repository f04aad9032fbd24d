"""The weights as functions of time."""

from __future__ import annotations

from torch import Tensor

from gentoolkit.paths import Path

from . import ConstantConfig, PowerConfig


class Constant:
    """w(t) = 1."""

    def __init__(self, config: ConstantConfig) -> None:
        pass

    def weight(self, t: Tensor, path: Path) -> Tensor:
        """Return 1 for each time."""
        return t * 0 + 1


class Power:
    """w(t) = (p + 1) (1 - t)^p."""

    def __init__(self, config: PowerConfig) -> None:
        self.power = config.power

    def weight(self, t: Tensor, path: Path) -> Tensor:
        """Return (p + 1) (1 - t)^p."""
        return (self.power + 1) * (1 - t) ** self.power
