"""The times that samplers visit."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gentoolkit.api import Component, GridConfig, hookimpl


class UniformConfig(GridConfig):
    """Steps of equal length."""


class ShiftedConfig(GridConfig):
    """Times u / (u + shift (1 - u)) for equally spaced u (Esser et al. 2024, arXiv:2403.03206, Eq. 23).

    On the linear path, the noise level (1 - t) / t is `shift` times that of u.
    """

    shift: float = Field(default=3.0, gt=0)
    """Above 1, more steps are taken near the noise; below 1, near the data."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the grids."""
    yield Component("uniform", UniformConfig, f"{__name__}.grids:Uniform")
    yield Component("shifted", ShiftedConfig, f"{__name__}.grids:Shifted")
