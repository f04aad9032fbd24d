"""Codecs: maps between the data and what is modeled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gentoolkit.api import CodecConfig, Component, DataSpec, hookimpl


class StandardizeConfig(CodecConfig):
    """Subtracts the mean of the training data and divides by its standard deviation, estimated before training."""

    per_channel: bool = True
    """Whether each index of the first axis (a channel, or a coordinate) has its own mean and standard deviation."""

    def spec(self, spec: DataSpec) -> DataSpec:
        """Return the spec of the data without its range, which is only known after the estimation."""
        return replace(spec, value_range=None)


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the codec."""
    yield Component("standardize", StandardizeConfig, f"{__name__}.standardize:Standardize")
