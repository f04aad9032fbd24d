"""The validated recipe."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import yaml
from pydantic import Field, field_validator

from gentoolkit.api import Config, DatasetConfig, DataSpec
from gentoolkit.recipe.faults import shown
from gentoolkit.recipe.reader import scalar
from gentoolkit.registry import Entry
from gentoolkit.settings import EvaluateSettings, SampleSettings, Seed, Strict, TrainSettings

#: The sections that contain exactly one component.
PARTS = ("dataset", "backbone", "objective", "sampler")
VERSION = 1
#: File systems allow names of 255 bytes; the run's number is appended.
NAME = r"[a-z0-9][a-z0-9_-]{0,199}"


class Header(Strict):
    """A gentoolkit recipe: the parts of a model and how it is trained, sampled and evaluated."""

    version: int = Field(json_schema_extra={"const": VERSION})
    """Version of the recipe format."""
    name: str = Field(json_schema_extra={"pattern": f"^{NAME}$"})
    """Name of the run's folder. Only a-z, 0-9, `_` and `-`, which every file system allows."""
    seed: Seed = 0
    """Seed of all random numbers."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device to compute on. `auto` prefers CUDA, then MPS, then the CPU."""

    @field_validator("version")
    @classmethod
    def _readable(cls, version: int) -> int:
        if version != VERSION:
            raise ValueError(
                f"got version {version}; expected {VERSION}, the only version that this gentoolkit supports"
            )
        return version

    @field_validator("name")
    @classmethod
    def _folder_name(cls, name: str) -> str:
        if not re.fullmatch(NAME, name):
            raise ValueError(
                f"got {shown(name)}; expected 1 to 200 of a-z, 0-9, '_' and '-', starting with a letter or digit"
            )
        return name


@dataclass(frozen=True)
class Part:
    """A component named in a recipe, with its config."""

    entry: Entry
    config: Config

    @property
    def type(self) -> str:
        """Return the component's name as written in the recipe."""
        return self.entry.name

    def to_dict(self) -> dict[str, Any]:
        """Return the section as plain data with all defaults."""
        return {"type": self.type, **self.config.model_dump(mode="json")}


@dataclass(frozen=True)
class Recipe:
    """A validated recipe. `text` is its source as written, without overrides."""

    version: int
    name: str
    seed: int
    device: Literal["auto", "cpu", "cuda", "mps"]
    dataset: Part
    backbone: Part
    objective: Part
    sampler: Part
    metrics: tuple[Part, ...]
    train: TrainSettings
    sample: SampleSettings
    evaluate: EvaluateSettings
    text: str = field(default="", compare=False, repr=False)

    @property
    def spec(self) -> DataSpec:
        """Return the spec of the data. Its condition is droppable if training drops conditions."""
        return data_spec(self.dataset, self.train)

    def resolved(self) -> dict[str, Any]:
        """Return the recipe as plain JSON data with all defaults. See `dump_recipe` for YAML."""
        return {
            "version": self.version,
            "name": self.name,
            "seed": self.seed,
            "device": self.device,
            **{kind: getattr(self, kind).to_dict() for kind in PARTS},
            "metrics": [part.to_dict() for part in self.metrics],
            **{name: getattr(self, name).model_dump(mode="json") for name in ("train", "sample", "evaluate")},
        }


def data_spec(dataset: Part, train: TrainSettings | None) -> DataSpec:
    """Return a dataset's spec, with a droppable condition if training drops conditions."""
    spec = cast(DatasetConfig, dataset.config).spec()
    if not isinstance(spec, DataSpec):
        raise TypeError(f"it returned {spec!r}; expected a DataSpec")
    return spec.with_droppable_condition() if train and train.condition_dropout > 0 else spec


def dump_recipe(recipe: Recipe) -> str:
    """Return the resolved recipe as YAML. Parsing it gives an equal recipe, except for `text`."""
    return yaml.dump(recipe.resolved(), Dumper=_Dumper, sort_keys=False, width=10**9)


class _Dumper(yaml.SafeDumper):
    """Quotes text such as `1e3`, which YAML 1.2 reads as a number. PyYAML writes YAML 1.1, where it is text."""

    def ignore_aliases(self, data: object) -> bool:
        """Never write aliases."""
        return True

    def _text(self, text: str) -> yaml.ScalarNode:
        try:
            style = None if scalar(text) == text else "'"
        except ValueError:
            style = "'"
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper._text)
