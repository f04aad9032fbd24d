"""Distributions of points in the plane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from gentoolkit.api import Component, DatasetConfig, DataSpec, Labels, hookimpl

Shape = Literal["moons", "eight_gaussians", "checkerboard", "rings"]
#: Number of labels of each shape.
PARTS: dict[Shape, int] = {"moons": 2, "eight_gaussians": 8, "checkerboard": 8, "rings": 2}


class PointsConfig(DatasetConfig):
    """Points in the plane, computed when the dataset is built. All shapes fit into a disk of radius 3 or so."""

    shape: Shape = "moons"
    """`moons`: two half circles; `eight_gaussians`: on a circle; `checkerboard`: eight squares; `rings`: two."""
    num_samples: int = Field(default=10_000, ge=1, le=2**24)
    """Number of training samples. The held-out split has the same size."""
    noise: float = Field(default=0.1, ge=0)
    """Standard deviation of the noise that is added to every point, and of each of the eight Gaussians."""
    labels: bool = False
    """Whether each point has a label: the number of its half circle, Gaussian, square or ring."""

    def spec(self) -> DataSpec:
        """Return (2,), with a label if there are labels."""
        condition = Labels(PARTS[self.shape]) if self.labels else None
        return DataSpec((2,), condition, gaussian=self.labels and self.shape == "eight_gaussians")


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the dataset."""
    yield Component("points", PointsConfig, f"{__name__}.dataset:Points", tiny={"num_samples": 64, "labels": True})
