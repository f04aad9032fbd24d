"""A distribution of times: mode sampling (Esser et al. 2024, arXiv:2403.03206, Eq. 20), with time reversed."""

from math import pi

from pydantic import Field

from gentoolkit.api import Component, TimesConfig, hookimpl


class ModeConfig(TimesConfig):
    """t = u + s (cos²(pi u / 2) - 1 + u)."""

    s: float = Field(default=1.29, ge=-1, le=2 / (pi - 2))
    """Above 0, times in the middle are more frequent."""


class Mode:
    """The quantile function."""

    def __init__(self, config):
        self.s = config.s

    def quantile(self, u, path):
        return (u + self.s * ((pi / 2 * u).cos() ** 2 - 1 + u)).clamp(0, 1)


@hookimpl
def gentoolkit_components():
    yield Component("mode", ModeConfig, f"{__name__}:Mode")
