"""Three metrics that compare the distribution, the mean and the deviation of generated and real samples."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gentoolkit.api import Component, MetricConfig, hookimpl


class SlicedWassersteinConfig(MetricConfig):
    """Sliced Wasserstein-2 distance: the average optimal-transport distance between projections on random lines."""

    num_projections: int = Field(default=256, ge=1, le=2**16)
    """Number of random directions to average over."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the directions; runs with the same seed use the same directions."""


class ClassMeanRmseConfig(MetricConfig):
    """Root mean squared difference between the mean of the generated and the mean of the real samples."""


class ResidualStdRatioConfig(MetricConfig):
    """Standard deviation of the generated samples around their own mean, divided by that of the real samples."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the three metrics."""
    yield Component(
        "sliced_wasserstein",
        SlicedWassersteinConfig,
        f"{__name__}.distances:SlicedWasserstein",
        tiny={"num_projections": 8},
    )
    yield Component("class_mean_rmse", ClassMeanRmseConfig, f"{__name__}.moments:ClassMeanRmse")
    yield Component("residual_std_ratio", ResidualStdRatioConfig, f"{__name__}.moments:ResidualStdRatio")
