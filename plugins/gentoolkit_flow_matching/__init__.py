"""Flow matching: regression of the velocity of the linear path from noise to data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from gentoolkit.api import Component, ObjectiveConfig, hookimpl

Tokens = Annotated[int, Field(ge=1)]


class FlowMatchingConfig(ObjectiveConfig):
    """Lipman et al. 2023, arXiv:2210.02747, Eq. 23, with sigma_min = 0."""

    times: Literal["uniform", "stratified"] = "uniform"
    """`stratified` spreads the times of a batch evenly: same expectation, lower variance (arXiv:2107.00630)."""
    weight_power: float = Field(default=0.0, ge=0)
    """Exponent p of the loss weight (p + 1) (1 - t)^p, whose mean over t is 1. It does not change the minimizer.

    p = 0 weights the error of the velocity equally at all t; p = 2 does so for the error of the denoised sample
    x_t + (1 - t) v. Near t = 1 the velocity can't be predicted well: for Gaussian data with standard deviation s, its
    smallest error is s² / (t² s² + (1 - t)²). Low weights there keep this noise out of the gradients (see Kingma and
    Gao 2023, arXiv:2303.00848, on weights in general).
    """
    tokens: Tokens | Annotated[tuple[Tokens, ...], Field(min_length=1)] | None = None
    """Number of tokens of each sample to train on, chosen at random in every step; all by default (arXiv:2306.09305).

    The cost of a step is proportional to it. During training the network attends only to these tokens; during sampling,
    to all. Several numbers divide the run into equal parts, so that it can start with few tokens and cheap steps
    (arXiv:2108.06084).
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
