"""A path: the trigonometric interpolant (Albergo et al. 2023, arXiv:2303.08797, Eq. 4.10)."""

from math import pi

from gentoolkit.api import Component, PathConfig, hookimpl
from gentoolkit.paths import Path


class TrigonometricConfig(PathConfig):
    """alpha = sin(pi t / 2), sigma = cos(pi t / 2)."""


class Trigonometric(Path):
    def __init__(self, config):
        pass

    def alpha(self, t):
        return (pi / 2 * t).sin()

    def sigma(self, t):
        return (pi / 2 * t).cos()

    def d_alpha(self, t):
        return pi / 2 * self.sigma(t)

    def d_sigma(self, t):
        return -pi / 2 * self.alpha(t)


@hookimpl
def gentoolkit_components():
    yield Component("trigonometric", TrigonometricConfig, f"{__name__}:Trigonometric")
