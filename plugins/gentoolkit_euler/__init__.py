"""Euler's method, the simplest sampler and the baseline for all others."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gentoolkit.api import Component, SamplerConfig, hookimpl


class EulerConfig(SamplerConfig):
    """Equal steps from t = 0 to t = 1."""

    num_steps: int = Field(default=20, ge=1, le=1_000_000)
    """Number of steps; each evaluates the field once."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the sampler."""
    yield Component("euler", EulerConfig, f"{__name__}.sampler:Euler", tiny={"num_steps": 4})
