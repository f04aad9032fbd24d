"""Distributions of points: shapes in the plane, and Gaussian mixtures in any dimension."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from gentoolkit.api import Component, DatasetConfig, DataSpec, Labels, hookimpl

Shape = Literal["moons", "eight_gaussians", "checkerboard", "rings", "swiss_roll", "s_curve", "pinwheel"]
#: Number of labels of each shape.
PARTS: dict[Shape, int] = {
    "moons": 2,
    "eight_gaussians": 8,
    "checkerboard": 8,
    "rings": 2,
    "swiss_roll": 1,
    "s_curve": 2,
    "pinwheel": 5,
}


class PointsConfig(DatasetConfig):
    """Points in the plane, computed when the dataset is built. Without noise, all shapes fit into a disk of radius 3.

    The exact field of `eight_gaussians` is known; the evaluation compares the model with it.
    """

    shape: Shape = "moons"
    """`moons`: two half circles; `eight_gaussians`: on a circle; `checkerboard`: eight squares; `rings`: two circles;
    `swiss_roll`: a spiral; `s_curve`: two arcs that form an S; `pinwheel`: five curved arms."""
    num_samples: int = Field(default=10_000, ge=1, le=2**24)
    """Number of training samples. The held-out split has the same size."""
    noise: float = Field(default=0.1, ge=0)
    """Standard deviation of the noise that is added to every point, and of each of the eight Gaussians."""
    labels: bool = False
    """Whether each point has a label: the number of its half circle, Gaussian, square, ring, arc or arm."""

    @model_validator(mode="after")
    def _has_parts(self) -> Self:
        if self.labels and PARTS[self.shape] == 1:
            raise ValueError(f"{self.shape} has only one part, so its points have no labels; remove labels")
        return self

    def spec(self) -> DataSpec:
        """Return (2,), with a label if there are labels."""
        condition = Labels(PARTS[self.shape]) if self.labels else None
        return DataSpec((2,), condition, gaussian=self.labels and self.shape == "eight_gaussians")


class GaussianMixtureConfig(DatasetConfig):
    """A mixture of Gaussians in any dimension. The evaluation compares the model with its exact field."""

    means: tuple[tuple[float, ...], ...] = Field(min_length=1)
    """Mean of each component."""
    std: float | None = Field(default=None, ge=0)
    """Standard deviation of every component in every direction; or use `covariances`."""
    covariances: tuple[tuple[tuple[float, ...], ...], ...] | None = None
    """Covariance matrix of each component, a list of rows."""
    weights: tuple[float, ...] | None = None
    """Relative frequency of each component; equal by default. They need not sum to 1."""
    num_samples: int = Field(default=10_000, ge=1, le=2**24)
    """Number of training samples. The held-out split has the same size."""
    labels: bool = False
    """Whether each point has a label: the number of its component."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        count, size = len(self.means), len(self.means[0])
        if size == 0 or any(len(mean) != size for mean in self.means):
            raise ValueError("means must be lists of equally many numbers, at least one")
        if (self.std is None) == (self.covariances is None):
            raise ValueError("set either std or covariances")
        if self.weights is not None and (len(self.weights) != count or min(self.weights) <= 0):
            raise ValueError(f"weights must be {count} positive numbers, one for each of the means")
        shapes = [[len(row) for row in matrix] for matrix in self.covariances or []]
        if self.covariances is not None and shapes != [[size] * size] * count:
            raise ValueError(f"covariances must be {count} matrices, one for each of the means, of {size} x {size}")
        for matrix in self.covariances or []:
            if any(matrix[i][j] != matrix[j][i] for i in range(size) for j in range(i)):
                raise ValueError("covariances must be symmetric matrices")
        return self

    def spec(self) -> DataSpec:
        """Return (D,), with a label if there are labels."""
        condition = Labels(len(self.means)) if self.labels else None
        alone = self.labels or len(self.means) == 1
        return DataSpec((len(self.means[0]),), condition, gaussian=alone and self.covariances is None)


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the datasets."""
    yield Component("points", PointsConfig, f"{__name__}.dataset:points", tiny={"num_samples": 64, "labels": True})
    yield Component(
        "gaussian_mixture",
        GaussianMixtureConfig,
        f"{__name__}.mixture:GaussianMixture",
        tiny={"means": [[-1.0, 0.0, 2.0], [1.0, 0.5, 0.0]], "std": 0.3, "num_samples": 64, "labels": True},
    )
