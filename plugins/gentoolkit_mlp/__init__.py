"""A perceptron for small samples, such as points."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gentoolkit.api import BackboneConfig, Component, DataSpec, Labels, hookimpl


class MlpConfig(BackboneConfig):
    """A perceptron with SiLU activations. Samples are flattened; time and condition are added to the first layer."""

    width: int = Field(default=128, ge=1, le=2**16)
    """Units per hidden layer."""
    depth: int = Field(default=3, ge=1, le=1000)
    """Number of hidden layers after the first."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the backbone."""
    spec = DataSpec((2, 2), Labels(3, droppable=True))
    yield Component("mlp", MlpConfig, f"{__name__}.network:Mlp", {"width": 16, "depth": 2}, spec)
