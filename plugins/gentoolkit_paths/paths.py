"""The coefficients of the paths."""

from __future__ import annotations

import math

from torch import Tensor

from gentoolkit import paths

from . import CosineConfig, LinearConfig

QUARTER = math.pi / 2


class Linear(paths.Linear):
    """The linear path, which the core defines."""

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()


class Cosine(paths.Path):
    """alpha = sin(pi t / 2), sigma = cos(pi t / 2): alpha² + sigma² = 1.

    Nichol and Dhariwal 2021, arXiv:2102.09672, Eq. 17, without their offset and with time reversed; Albergo et al.
    2023, arXiv:2303.08797, Eq. 4.10, the trigonometric interpolant.
    """

    def __init__(self, config: CosineConfig) -> None:
        super().__init__()

    def alpha(self, t: Tensor) -> Tensor:
        """Return sin(pi t / 2)."""
        return (QUARTER * t).sin()

    def sigma(self, t: Tensor) -> Tensor:
        """Return cos(pi t / 2), as sin(pi (1 - t) / 2), which is exactly 0 at t = 1."""
        return (QUARTER * (1 - t)).sin()

    def d_alpha(self, t: Tensor) -> Tensor:
        """Return (pi / 2) cos(pi t / 2)."""
        return QUARTER * self.sigma(t)

    def d_sigma(self, t: Tensor) -> Tensor:
        """Return -(pi / 2) sin(pi t / 2)."""
        return -QUARTER * self.alpha(t)
