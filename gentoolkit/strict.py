"""The base class of configs and settings, and the types of their numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1, le=2**40)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Precision = Literal["auto", "fp32", "bf16"]


class Strict(BaseModel):
    """A frozen model with strict types: "1" and true are not numbers. Rejects infinite values and unknown fields."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )
