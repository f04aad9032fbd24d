"""Three numbers that compare generated with real samples: their distribution, their mean and their deviation."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gentoolkit.api import Component, MetricConfig, hookimpl


class SlicedWassersteinConfig(MetricConfig):
    """Sliced Wasserstein-2 distance: how far the samples would have to move to look real, seen along random lines."""

    num_projections: int = Field(default=256, ge=1, le=2**16)
    """Random directions that are averaged over."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """The seed of the directions; the same seed compares the same directions in every run."""


class ClassMeanRmseConfig(MetricConfig):
    """Root mean squared difference between the mean of the generated and the mean of the real samples."""


class ResidualStdRatioConfig(MetricConfig):
    """Standard deviation of generated samples around their own mean, divided by that of the real ones."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the three metrics."""
    yield Component(
        "sliced_wasserstein",
        SlicedWassersteinConfig,
        f"{__name__}.distances:SlicedWasserstein",
        tiny=SlicedWassersteinConfig(num_projections=8),
    )
    yield Component(
        "class_mean_rmse",
        ClassMeanRmseConfig,
        f"{__name__}.moments:ClassMeanRmse",
        tiny=ClassMeanRmseConfig(),
    )
    yield Component(
        "residual_std_ratio",
        ResidualStdRatioConfig,
        f"{__name__}.moments:ResidualStdRatio",
        tiny=ResidualStdRatioConfig(),
    )
