"""Euler's method: the simplest sampler, and the one that every other is compared with."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gentoolkit.api import Component, SamplerConfig, hookimpl


class EulerConfig(SamplerConfig):
    """Equal steps from t = 0 to t = 1."""

    num_steps: int = Field(default=20, ge=1, le=1_000_000)
    """How many steps; each is one evaluation of the field."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the sampler."""
    yield Component("euler", EulerConfig, f"{__name__}.sampler:Euler", tiny=EulerConfig(num_steps=4))
