"""A multilayer perceptron, for points and other small samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import Field

from gentoolkit.api import BackboneConfig, Component, DataSpec, Labels, hookimpl


class MLPConfig(BackboneConfig):
    """Linear layers with SiLU between them, on the flattened sample; time and condition are embedded and added."""

    width: int = Field(default=128, ge=1)
    """Width of the hidden layers."""
    depth: int = Field(default=3, ge=1, le=1000)
    """Number of hidden layers."""
    frequencies: int = Field(default=8, ge=1, le=1000)
    """Number of sines and cosines of pi t, 2 pi t, 3 pi t, ... that represent a time, in addition to t itself."""

    def offers(self) -> Iterable[str]:
        """Offer a second time, and derivatives in forward mode."""
        return ("second_time", "forward_derivatives")


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the backbone."""
    yield Component(
        "mlp",
        MLPConfig,
        f"{__name__}.network:MLP",
        tiny={"width": 16, "depth": 2, "frequencies": 3},
        tiny_spec=DataSpec((2, 3), Labels(3, droppable=True)),
    )
