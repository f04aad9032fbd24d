"""Heun's method: a whole plugin on a page."""

from collections.abc import Iterator

from gentoolkit.api import Component, FixedGridConfig, hookimpl


class HeunConfig(FixedGridConfig):
    """Two evaluations in each step."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the sampler."""
    yield Component("heun", HeunConfig, f"{__name__}.sampler:Heun", tiny={"num_steps": 3})
