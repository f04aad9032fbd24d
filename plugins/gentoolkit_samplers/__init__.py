"""Solvers of dx/dt = v(x, t) with a fixed number of steps."""

from __future__ import annotations

from collections.abc import Iterator

from gentoolkit.api import Component, FixedGridConfig, hookimpl


class EulerConfig(FixedGridConfig):
    """Euler's method, the simplest sampler and the baseline for all others. Each step evaluates the field once."""


class HeunConfig(FixedGridConfig):
    """Heun's method of order 2 (Karras et al. 2022, arXiv:2206.00364, Alg. 1). Each step evaluates the field twice."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the samplers."""
    yield Component("euler", EulerConfig, f"{__name__}.samplers:Euler", tiny={"num_steps": 4})
    yield Component("heun", HeunConfig, f"{__name__}.samplers:Heun", tiny={"num_steps": 3})
