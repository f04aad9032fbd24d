"""What might have trained `recipes/dit_flow.yaml` faster, as plugins: `benchmarks/trials.py` measures them.

Each takes the settings of what it changes, so that a recipe names it in place of that.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gentoolkit.api import Component, DataSpec, Labels, hookimpl
from gentoolkit_dit import DiTConfig
from gentoolkit_flow_matching import FlowMatchingConfig


class PreconditionedConfig(FlowMatchingConfig):
    """Karras et al. 2022, arXiv:2206.00364, Sec. 5, carried over to the linear path."""

    sigma_data: float = Field(default=0.5, gt=0)
    """Standard deviation of the data, about 0."""


class DenoisedConfig(FlowMatchingConfig):
    """The network predicts x1; the loss is the velocity's still (Li and He 2025, arXiv:2511.13720)."""

    clamp: float = Field(default=0.05, gt=0)
    """The least 1 - t that is divided by."""


class LogitNormalConfig(FlowMatchingConfig):
    """Times whose logit is normal (Esser et al. 2024, arXiv:2403.03206, Eq. 19)."""

    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)


class SkipConfig(DiTConfig):
    """A DiT that adds its input times a learned function of t, which starts as 0."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the experiments."""
    scaled = "the network is shown c_in x_t; that of the contracts knows the best velocity at x_t only"
    yield Component(
        "preconditioned",
        PreconditionedConfig,
        f"{__name__}.objectives:Preconditioned",
        tiny=PreconditionedConfig(),
        expected_failures={
            f"objective.{name}": scaled for name in ("closed_form", "field", "gradient", "one_point", "time_direction")
        },
    )
    yield Component("denoised", DenoisedConfig, f"{__name__}.objectives:Denoised", tiny=DenoisedConfig())
    yield Component("logit_normal", LogitNormalConfig, f"{__name__}.objectives:LogitNormal", tiny=LogitNormalConfig())
    yield Component(
        "skip",
        SkipConfig,
        f"{__name__}.skip:Skip",
        tiny=SkipConfig(hidden_size=16, depth=2, num_heads=2),
        tiny_spec=DataSpec((2, 4, 6), Labels(3, droppable=True), (-1.0, 1.0)),
    )
