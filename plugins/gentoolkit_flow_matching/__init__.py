"""Flow matching: regress the velocity of the straight path from noise to data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from gentoolkit.api import Component, ObjectiveConfig, hookimpl


class FlowMatchingConfig(ObjectiveConfig):
    """Lipman et al. 2023, arXiv:2210.02747, Eq. 23, with sigma_min = 0."""

    times: Literal["uniform", "stratified"] = "uniform"
    """`stratified` spreads the times of a batch evenly: the same expectation, less variance (arXiv:2107.00630)."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the objective."""
    yield Component(
        "flow_matching",
        FlowMatchingConfig,
        f"{__name__}.objective:FlowMatching",
        tiny=FlowMatchingConfig(),
    )
