"""Heun's method: a whole plugin on a page."""

from collections.abc import Iterator

from pydantic import Field

from gentoolkit.api import Component, SamplerConfig, hookimpl


class HeunConfig(SamplerConfig):
    """Equal steps from t = 0 to t = 1, two evaluations each."""

    num_steps: int = Field(default=10, ge=1)
    """How many steps."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the sampler."""
    yield Component("heun", HeunConfig, f"{__name__}.sampler:Heun", tiny={"num_steps": 3})
