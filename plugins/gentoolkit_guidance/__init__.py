"""Changes of a conditional model's field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self

from pydantic import Field, model_validator

from gentoolkit.api import Component, GuidanceConfig, Need, hookimpl


class CFGConfig(GuidanceConfig):
    """Classifier-free guidance, v_u + scale (v_c - v_u) (Ho and Salimans 2022, arXiv:2207.12598, Eq. 6).

    It needs a model that is trained with `train.condition_dropout`, and evaluates the network twice in the interval.
    """

    scale: float = 2.0
    """The weight of the condition: 1 is the model itself, above 1 strengthens the condition. Their w plus 1."""
    start: float = Field(default=0.0, ge=0, le=1)
    """The first time of the interval with guidance (Kynkäänniemi et al. 2024, arXiv:2404.07724)."""
    end: float = Field(default=1.0, ge=0, le=1)
    """The last time of the interval with guidance."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"start {self.start:g} is not before end {self.end:g}")
        return self

    def needs(self) -> Iterable[Need]:
        """Require conditions, and training that drops them."""
        return (Need("data", "condition"), Need("data", "null_condition")) if self.scale != 1 else ()


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the guidance."""
    yield Component("cfg", CFGConfig, f"{__name__}.guidance:CFG")
