"""Distributions of the times at which an objective trains."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gentoolkit.api import Component, TimesConfig, hookimpl


class UniformConfig(TimesConfig):
    """All times equally often."""


class LogitNormalConfig(TimesConfig):
    """logit(t) = log(t / (1 - t)) is normal (Esser et al. 2024, arXiv:2403.03206, Eq. 19).

    On the linear path the noise level (1 - t) / t is then log-normal, as in Karras et al. 2022 (arXiv:2206.00364, Table
    1), whose P_mean is minus this `mean` and whose P_std is this `std`.
    """

    mean: float = 0.0
    """Mean of logit(t); above 0 prefers times near the data."""
    std: float = Field(default=1.0, gt=0)
    """Standard deviation of logit(t)."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the distributions."""
    yield Component("uniform", UniformConfig, f"{__name__}.times:Uniform")
    yield Component("logit_normal", LogitNormalConfig, f"{__name__}.times:LogitNormal")
