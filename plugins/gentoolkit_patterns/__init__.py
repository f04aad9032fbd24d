"""Synthetic patterns in four classes, small enough for a CPU and with a known exact field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import Field, model_validator

from gentoolkit.api import Component, DatasetConfig, DataSpec, Labels, hookimpl

NUM_CLASSES = 4


class PatternsConfig(DatasetConfig):
    """Four patterns on a grid from -pi to pi with Gaussian noise, each sample scaled to a maximum magnitude of 1."""

    num_samples: int = Field(default=2000, ge=NUM_CLASSES, le=2**40)
    """Number of training samples, `num_samples // 4` per class. The held-out split has the same size."""
    image_size: int = Field(default=32, ge=4, le=4096)
    """Number of grid points along each side."""
    channels: int = Field(default=4, ge=1, le=1024)
    """Channel i is the pattern plus 0.1 i."""
    noise_level: float = Field(default=0.05, ge=0)
    """Standard deviation of the noise, before scaling."""
    num_classes: int = NUM_CLASSES
    """Number of classes, always 4."""

    @model_validator(mode="after")
    def _four(self) -> Self:
        if self.num_classes != NUM_CLASSES:
            raise ValueError(f"num_classes is {self.num_classes}, but there are {NUM_CLASSES} patterns; omit the field")
        return self

    def spec(self) -> DataSpec:
        """Return (channels, image_size, image_size) with 4 labels, values in [-1, 1]."""
        shape = (self.channels, self.image_size, self.image_size)
        return DataSpec(shape, Labels(NUM_CLASSES), (-1.0, 1.0), colormap="viridis")


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the dataset."""
    yield Component(
        "patterns",
        PatternsConfig,
        f"{__name__}.dataset:Patterns",
        tiny={"num_samples": 16, "image_size": 8, "channels": 1},
    )
