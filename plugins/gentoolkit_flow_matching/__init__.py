"""Flow matching: regress the velocity of the straight path from noise to data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from gentoolkit.api import Component, ObjectiveConfig, hookimpl

Tokens = Annotated[int, Field(ge=1)]


class FlowMatchingConfig(ObjectiveConfig):
    """Lipman et al. 2023, arXiv:2210.02747, Eq. 23, with sigma_min = 0."""

    times: Literal["uniform", "stratified"] = "uniform"
    """`stratified` spreads the times of a batch evenly: the same expectation, less variance (arXiv:2107.00630)."""
    weight_power: float = Field(default=0.0, ge=0)
    """Weight the loss by (p + 1) (1 - t)^p, whose mean over t is 1; the minimizer stays the same.

    0 is the velocity's error, 2 that of the denoised sample x_t + (1 - t) v. Near t = 1 the velocity can't be known:
    for Gaussian data of deviation s its smallest error is s² / (t² s² + (1 - t)²). Small weights there keep that noise
    out of the gradients (Kingma and Gao 2023, arXiv:2303.00848, on weights in general).
    """
    tokens: Tokens | Annotated[tuple[Tokens, ...], Field(min_length=1)] | None = None
    """Train on so many tokens of each sample, drawn anew in every step; all by default (arXiv:2306.09305).

    A step costs in proportion. The network never attends to more than these tokens together until it samples. Several
    numbers divide the run into as many equal parts: few tokens, and so cheap steps, first (arXiv:2108.06084).
    """


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the objective."""
    yield Component(
        "flow_matching",
        FlowMatchingConfig,
        f"{__name__}.objective:FlowMatching",
        tiny=FlowMatchingConfig(),
    )
