"""What a network predicts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import Field, model_validator

from gentoolkit.api import Component, PredictionConfig, hookimpl


class VelocityConfig(PredictionConfig):
    """The velocity v = alpha' x1 + sigma' x0 (Lipman et al. 2023, arXiv:2210.02747)."""


class DataConfig(PredictionConfig):
    """The data x1 (Li and He 2025, arXiv:2511.13720)."""

    last_time: float = Field(default=0.999, gt=0.5, lt=1)
    """The last time at which the network is used. At t = 1 it has no velocity; samplers end with its prediction."""


class NoiseConfig(PredictionConfig):
    """The noise x0 (Ho et al. 2020, arXiv:2006.11239)."""

    first_time: float = Field(default=0.001, gt=0, lt=0.5)
    """The first time at which the network is used. At t = 0 it has no velocity."""


class EDMConfig(PredictionConfig):
    """The data, preconditioned by the noise level sigma / alpha (Karras et al. 2022, arXiv:2206.00364, Table 1)."""

    data_std: float = Field(default=0.5, gt=0)
    """Standard deviation of the data."""
    smallest_noise: float = Field(default=0.002, gt=0)
    """The smallest noise level at which the network is used."""
    largest_noise: float = Field(default=80.0, gt=0)
    """The largest noise level at which the network is used."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.smallest_noise >= self.largest_noise:
            raise ValueError(
                f"smallest_noise {self.smallest_noise:g} is not below largest_noise {self.largest_noise:g}"
            )
        return self


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the predictions."""
    yield Component("velocity", VelocityConfig, f"{__name__}.predictions:Velocity")
    yield Component("data", DataConfig, f"{__name__}.predictions:Data")
    yield Component("noise", NoiseConfig, f"{__name__}.predictions:Noise")
    yield Component("edm", EDMConfig, f"{__name__}.predictions:EDM")
