"""Codecs: maps between the data and what is modeled. They are linear, and estimated from the training data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from pydantic import Field

from gentoolkit.api import CodecConfig, Component, DataSpec, Problem, hookimpl

#: Largest number of elements per sample of which a covariance matrix is estimated (512 MiB).
MAX_ELEMENTS = 8192


class StandardizeConfig(CodecConfig):
    """Subtracts the mean of the training data and divides by its standard deviation, estimated before training."""

    per_channel: bool = True
    """Whether each index of the first axis (a channel, or a coordinate) has its own mean and standard deviation."""

    def spec(self, spec: DataSpec) -> DataSpec:
        """Return the spec of the data without its range, which is only known after the estimation."""
        return replace(spec, value_range=None)


class CovarianceConfig(CodecConfig):
    """Config of a codec that is computed from the covariance matrix of all elements of a sample."""

    def check(self, spec: DataSpec) -> Iterator[Problem]:
        """Report samples that are too large for a covariance matrix."""
        if (size := math.prod(spec.shape)) > MAX_ELEMENTS:
            message = f"a sample has {size} elements, too many for their covariance matrix; at most {MAX_ELEMENTS}"
            yield Problem(None, f"{message} are possible; use standardize")


class PcaConfig(CovarianceConfig):
    """The leading principal components of the training data; what the others explain is lost."""

    num_components: int | None = Field(default=None, ge=1)
    """Number of components; by default all, which loses nothing."""
    whitened: bool = True
    """Whether each component is divided by its standard deviation. If not, it keeps its variance."""

    def spec(self, spec: DataSpec) -> DataSpec:
        """Return (num_components,)."""
        size = self.num_components or math.prod(spec.shape)
        return replace(spec, shape=(size,), value_range=None, colormap=None)

    def check(self, spec: DataSpec) -> Iterator[Problem]:
        """Report samples that are too large, or have fewer elements than `num_components`."""
        yield from super().check(spec)
        if (self.num_components or 0) > (size := math.prod(spec.shape)):
            yield Problem("num_components", f"got {self.num_components}, but a sample has only {size} elements")


class WhitenConfig(CovarianceConfig):
    """Linear map to mean 0 and identity covariance that changes samples as little as possible (ZCA); keeps their shape.

    Kessy, Lewin and Strimmer 2018, arXiv:1512.00809, Sec. 3.1.
    """

    epsilon: float = Field(default=1e-5, ge=0)
    """Added to the variance of each principal component, in units of their mean variance. It bounds how much directions
    without variance are stretched; a component of variance v is left with v / (v + epsilon)."""

    def spec(self, spec: DataSpec) -> DataSpec:
        """Return the spec of the data without its range, which is only known after the estimation."""
        return replace(spec, value_range=None)


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the codecs."""
    yield Component("pca", PcaConfig, f"{__name__}.linear:Pca", tiny={"num_components": 2}, traits=frozenset({"lossy"}))
    yield Component("standardize", StandardizeConfig, f"{__name__}.standardize:Standardize")
    yield Component("whiten", WhitenConfig, f"{__name__}.linear:Whiten")
