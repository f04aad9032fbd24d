"""Weights of the loss over time."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gentoolkit.api import Component, WeightingConfig, hookimpl


class ConstantConfig(WeightingConfig):
    """The same weight, 1, at all times."""


class PowerConfig(WeightingConfig):
    """The weight (p + 1) (1 - t)^p, whose mean over t is 1.

    For the error of the velocity on the linear path, p = 0 weights it equally at all t; p = 2 does so for the error of
    the denoised sample x_t + (1 - t) v. Near t = 1 the velocity can't be predicted well: for Gaussian data with
    standard deviation s, its smallest error is s² / (t² s² + (1 - t)²). Low weights there keep this noise out of the
    gradients (see Kingma and Gao 2023, arXiv:2303.00848, on weights in general).
    """

    power: float = Field(default=1.0, ge=0)
    """The exponent p."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the weightings."""
    yield Component("constant", ConstantConfig, f"{__name__}.weightings:Constant")
    yield Component("power", PowerConfig, f"{__name__}.weightings:Power")
