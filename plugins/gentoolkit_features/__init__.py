"""Features: the vectors in which metrics compare samples."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field

from gentoolkit.api import Component, DataSpec, FeaturesConfig, Problem, hookimpl

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


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the features."""
    yield Component("identity", IdentityConfig, f"{__name__}.linear:Identity")
    yield Component("pca", PcaConfig, f"{__name__}.linear:Pca", tiny={"num_components": 2})
