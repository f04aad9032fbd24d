"""Learning-rate schedules."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gentoolkit.api import Component, Problem, ScheduleConfig, hookimpl


class ConstantConfig(ScheduleConfig):
    """The peak learning rate throughout the run, after the warm-up."""

    warmup_steps: int = Field(default=0, ge=0)
    """Steps in which the learning rate rises linearly to its peak."""

    def check_length(self, total_steps: int) -> Iterator[Problem]:
        """Yield a problem if the warm-up is as long as the run."""
        if self.warmup_steps >= total_steps:
            message = f"the warm-up takes {self.warmup_steps} steps, but training has only {total_steps}; lower it"
            yield Problem("warmup_steps", message)


class DecayConfig(ConstantConfig):
    """A learning rate that falls to 0 at the end of the run."""

    per_epoch: bool = False
    """Whether the learning rate changes only once per epoch, instead of at every step."""


class CosineConfig(DecayConfig):
    """Half a cosine wave, from the peak learning rate to 0 (Loshchilov and Hutter 2017, arXiv:1608.03983)."""


class LinearConfig(DecayConfig):
    """A straight line from the peak learning rate to 0."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the schedules."""
    yield Component("constant", ConstantConfig, f"{__name__}.schedules:Constant")
    yield Component("cosine", CosineConfig, f"{__name__}.schedules:Cosine", tiny={"warmup_steps": 3})
    yield Component("linear", LinearConfig, f"{__name__}.schedules:Linear", tiny={"warmup_steps": 3})
