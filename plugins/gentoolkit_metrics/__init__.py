"""Metrics: numbers that compare generated with real samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from gentoolkit.api import Component, DataSpec, FeaturesConfig, Labels, MetricConfig, Problem, hookimpl, slot

#: The largest number of values in a sample that `c2st` takes.
MAX_C2ST_DIMS = 128


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

    features: FeaturesConfig = slot("classifier")
    """The vectors that are compared instead of the samples."""


class FrechetDistanceConfig(OnFeaturesConfig):
    """Squared Fréchet distance between Gaussians that are fitted to the features. Few samples bias it upward."""

    covariance: Literal["sample", "ledoit_wolf"] = "sample"
    """`sample` needs more samples than features. `ledoit_wolf` shrinks the covariance, so that few samples suffice."""


class KernelDistanceConfig(OnFeaturesConfig):
    """Squared maximum mean discrepancy of the features with a cubic kernel. It is unbiased and may be negative."""


class ClassAccuracyConfig(OnFeaturesConfig):
    """Share of generated samples that a classifier assigns to their class; the floor is that of real samples."""

    def check(self, spec: DataSpec) -> Iterator[Problem]:
        """Yield a problem if there are no labels, or the features are not those of a classifier."""
        if not isinstance(spec.condition, Labels):
            yield Problem(None, "the data has no class labels; remove class_accuracy")
        if "classes" not in self.features.offers():
            yield Problem("features", "these features are not those of a classifier; use classifier")


class NeighborsConfig(OnFeaturesConfig):
    """Config of a metric that depends on nearest neighbors."""

    neighbors: int = Field(default=5, ge=1)
    """k: the ball around a sample reaches to its k-th nearest neighbor, in the space of the features."""


class PrecisionConfig(NeighborsConfig):
    """Share of generated samples that lie in the ball of a real sample: are samples realistic?"""


class RecallConfig(NeighborsConfig):
    """Share of real samples that lie in the ball of a generated sample: are samples diverse?"""


class DensityConfig(NeighborsConfig):
    """Number of real samples whose balls contain a generated sample, relative to what is expected of a real one."""


class CoverageConfig(NeighborsConfig):
    """Share of real samples with a generated sample in their ball: are samples diverse?"""


class Wasserstein2Config(MetricConfig):
    """Wasserstein-2 distance between all samples, exact and not squared; for a few thousand samples at most."""


class EnergyDistanceConfig(MetricConfig):
    """Energy distance, sqrt(2 E|X - Y| - E|X - X'| - E|Y - Y'|)."""


class SquaredMmdConfig(MetricConfig):
    """Unbiased squared MMD with a Gaussian kernel, whose width is the median distance between real samples."""


class C2stConfig(MetricConfig):
    """Accuracy of a classifier that tells real from generated samples (C2ST): 0.5 if it can't, 1 if it always can."""

    folds: int = Field(default=5, ge=2)
    """Number of parts of the data; each is classified by a network that is trained on the others."""
    max_iterations: int = Field(default=10_000, ge=1)
    """Largest number of passes over the samples in the training of each network."""

    def check(self, spec: DataSpec) -> Iterator[Problem]:
        """Yield a problem if the network, which has 10 units per dimension in each layer, would be too large."""
        if (dims := math.prod(spec.shape)) > MAX_C2ST_DIMS:
            message = f"c2st takes at most {MAX_C2ST_DIMS} values, but samples have {dims}; use frechet_distance"
            yield Problem(None, message)


class MemorizationConfig(MetricConfig):
    """Probability that a generated sample is closer to the training data than a held-out one: 1 for copies."""


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
    yield Component("wasserstein2", Wasserstein2Config, f"{__name__}.two_sample:Wasserstein2")
    yield Component("energy_distance", EnergyDistanceConfig, f"{__name__}.kernels:EnergyDistance")
    yield Component("squared_mmd", SquaredMmdConfig, f"{__name__}.kernels:SquaredMmd")
    yield Component("c2st", C2stConfig, f"{__name__}.two_sample:C2st", tiny={"folds": 2, "max_iterations": 50})
    yield Component("memorization", MemorizationConfig, f"{__name__}.memorization:Memorization")
    yield Component(
        "class_accuracy",
        ClassAccuracyConfig,
        f"{__name__}.accuracy:ClassAccuracy",
        tiny={"features": {"steps": 20, "width": 4, "num_features": 8}},
        traits=frozenset({"absolute"}),
    )
    own = {"features": "identity"}
    yield Component("frechet_distance", FrechetDistanceConfig, f"{__name__}.frechet:FrechetDistance", tiny=own)
    yield Component("kernel_distance", KernelDistanceConfig, f"{__name__}.kernels:KernelDistance", tiny=own)
    yield Component("precision", PrecisionConfig, f"{__name__}.neighbors:Precision", tiny=own)
    yield Component("recall", RecallConfig, f"{__name__}.neighbors:Recall", tiny=own)
    yield Component("density", DensityConfig, f"{__name__}.neighbors:Density", tiny=own)
    yield Component("coverage", CoverageConfig, f"{__name__}.neighbors:Coverage", tiny=own)
