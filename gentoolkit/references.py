"""References to other runs, as settings in a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gentoolkit.strict import Strict


class RunRef(Strict):
    """A run or checkpoint whose weights are used. A recipe may give its path alone, or pin a step.

    The run's `resolved.yaml` has the step and the hash of the checkpoint that was used.
    """

    run: str
    """The run's directory, or a checkpoint folder. A relative path starts at the recipe's folder."""
    step: Annotated[int, Field(ge=0)] | None = None
    """The step of the checkpoint. By default, the newest valid one."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """The hash of the checkpoint's manifest, which has the hashes of all its files. If set, it must match."""

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, data: Any) -> Any:
        return {"run": data} if isinstance(data, str) else data

    @field_validator("run")
    @classmethod
    def _absolute(cls, run: str, info: ValidationInfo) -> str:
        folder = getattr(info.context, "folder", None)
        return str(Path(folder, run)) if folder else run
