"""Metrics: numbers that compare generated with real samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from gentoolkit.api import Component, FeaturesConfig, MetricConfig, hookimpl, slot


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


class OnFeaturesConfig(MetricConfig):
    """Config of a metric that compares features."""

    features: FeaturesConfig = slot("pca")
    """The vectors in which samples are compared."""


class FrechetDistanceConfig(OnFeaturesConfig):
    """Squared Fréchet distance between Gaussians that are fitted to the features. Few samples bias it upward."""

    covariance: Literal["sample", "ledoit_wolf"] = "sample"
    """`sample` needs more samples than features. `ledoit_wolf` shrinks the covariance, so that few samples suffice."""


class KernelDistanceConfig(OnFeaturesConfig):
    """Squared maximum mean discrepancy of the features with a cubic kernel. It is unbiased and may be negative."""


class NeighborsConfig(OnFeaturesConfig):
    """Config of a metric that depends on nearest neighbors."""

    neighbors: int = Field(default=5, ge=1)
    """The ball around a sample reaches to its neighbor of this number, in the space of the features."""


class PrecisionConfig(NeighborsConfig):
    """Share of generated samples that lie in the ball of a real sample: are samples realistic?"""


class RecallConfig(NeighborsConfig):
    """Share of real samples that lie in the ball of a generated sample: are samples diverse?"""


class DensityConfig(NeighborsConfig):
    """Number of real samples in whose ball a generated sample lies, relative to that of a real one."""


class CoverageConfig(NeighborsConfig):
    """Share of real samples with a generated sample in their ball: are samples diverse?"""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the metrics."""
    yield Component(
        "sliced_wasserstein",
        SlicedWassersteinConfig,
        f"{__name__}.distances:SlicedWasserstein",
        tiny={"num_projections": 8},
    )
    yield Component("class_mean_rmse", ClassMeanRmseConfig, f"{__name__}.moments:ClassMeanRmse")
    yield Component("residual_std_ratio", ResidualStdRatioConfig, f"{__name__}.moments:ResidualStdRatio")
    own = {"features": "identity"}
    yield Component("frechet_distance", FrechetDistanceConfig, f"{__name__}.frechet:FrechetDistance", tiny=own)
    yield Component("kernel_distance", KernelDistanceConfig, f"{__name__}.kernels:KernelDistance", tiny=own)
    yield Component("precision", PrecisionConfig, f"{__name__}.neighbors:Precision", tiny=own)
    yield Component("recall", RecallConfig, f"{__name__}.neighbors:Recall", tiny=own)
    yield Component("density", DensityConfig, f"{__name__}.neighbors:Density", tiny=own)
    yield Component("coverage", CoverageConfig, f"{__name__}.neighbors:Coverage", tiny=own)
