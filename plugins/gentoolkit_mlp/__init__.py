"""A residual multilayer perceptron, for points and other small samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import Field

from gentoolkit.api import BackboneConfig, Component, DataSpec, Labels, hookimpl


class MLPConfig(BackboneConfig):
    """Residual blocks of two linear layers on the flattened sample, modulated by time and condition (adaLN-Zero)."""

    width: int = Field(default=128, ge=2)
    """Width of all layers."""
    depth: int = Field(default=3, ge=1, le=1000)
    """Number of blocks."""
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
