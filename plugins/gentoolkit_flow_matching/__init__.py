"""Flow matching: regression of the velocity of a path from noise to data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from gentoolkit.api import Component, ObjectiveConfig, PathConfig, TimesConfig, WeightingConfig, hookimpl, slot

Tokens = Annotated[int, Field(ge=1)]


class FlowMatchingConfig(ObjectiveConfig):
    """The network learns the velocity of a path (Lipman et al. 2023, arXiv:2210.02747, Eq. 9)."""

    path: PathConfig = slot("linear")
    """The path from x0 to x1."""
    times: TimesConfig = slot("uniform")
    """The distribution of the times at which the network is trained."""
    stratified: bool = False
    """Whether to spread the times of a batch evenly: same expectation, lower variance (arXiv:2107.00630)."""
    weighting: WeightingConfig = slot("constant")
    """The weight of each time. It does not change the minimizer."""
    tokens: Tokens | Annotated[tuple[Tokens, ...], Field(min_length=1)] | None = None
    """Number of tokens of each sample to train on, chosen at random in every step; all by default (arXiv:2306.09305).

    The cost of a step is proportional to it. During training the network attends only to these tokens; during sampling,
    to all. Several numbers divide the run into equal parts, so that it can start with few tokens and cheap steps
    (arXiv:2108.06084).
    """


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the objective."""
    yield Component("flow_matching", FlowMatchingConfig, f"{__name__}.objective:FlowMatching")
