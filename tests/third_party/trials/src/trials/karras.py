"""A grid: the noise levels of Karras et al. 2022, arXiv:2206.00364, Eq. 5, on the linear path."""

from pydantic import Field

from gentoolkit.api import Component, GridConfig, hookimpl


class KarrasConfig(GridConfig):
    """Noise levels sigma, equally spaced in sigma^(1 / rho), and t = 1 / (1 + sigma)."""

    rho: float = Field(default=7.0, gt=0)
    largest: float = 80.0
    smallest: float = 0.002


class Karras:
    """The times."""

    def __init__(self, config):
        self.config = config

    def times(self, num_steps):
        rho = self.config.rho
        high, low = self.config.largest ** (1 / rho), self.config.smallest ** (1 / rho)
        levels = [(high + k / num_steps * (low - high)) ** rho for k in range(1, num_steps)]
        return (0.0, *(1 / (1 + level) for level in levels), 1.0)


@hookimpl
def gentoolkit_components():
    yield Component("karras", KarrasConfig, f"{__name__}:Karras")
