"""Paths from noise to data."""

from __future__ import annotations

from collections.abc import Iterator

from gentoolkit.api import Component, PathConfig, hookimpl


class LinearConfig(PathConfig):
    """The straight line x_t = t x1 + (1 - t) x0 (Lipman et al. 2023, arXiv:2210.02747, Eq. 22, with sigma_min = 0)."""


class CosineConfig(PathConfig):
    """x_t = sin(pi t / 2) x1 + cos(pi t / 2) x0, which preserves the variance (arXiv:2102.09672, Eq. 17)."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the paths."""
    yield Component("linear", LinearConfig, f"{__name__}.paths:Linear")
    yield Component("cosine", CosineConfig, f"{__name__}.paths:Cosine")
