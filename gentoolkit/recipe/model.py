"""The validated recipe."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator

from gentoolkit.configs import (
    BackboneConfig,
    CodecConfig,
    Config,
    CouplingConfig,
    DatasetConfig,
    GuidanceConfig,
    MetricConfig,
    ObjectiveConfig,
    ObserverConfig,
    Role,
    SamplerConfig,
    SourceConfig,
    configs_in,
    slot,
)
from gentoolkit.recipe.faults import Path, shown
from gentoolkit.recipe.reader import scalar
from gentoolkit.references import RunRef
from gentoolkit.settings import EvaluateSettings, SampleSettings, TrainSettings
from gentoolkit.spec import DataSpec
from gentoolkit.strict import Seed, Strict

VERSION = 2
#: File systems allow names of 255 bytes; the run's number is appended.
NAME = r"[a-z0-9][a-z0-9_-]{0,199}"


class Recipe(Strict):
    """A gentoolkit recipe: the parts of a model and how it is trained, sampled and evaluated.

    Parsed from a file by `load_recipe`. Two recipes are equal if they are equal with all defaults filled in.
    """

    model_config = ConfigDict(validate_default=True)

    version: int = Field(json_schema_extra={"const": VERSION})
    """Version of the recipe format."""
    name: str = Field(json_schema_extra={"pattern": f"^{NAME}$"})
    """Name of the run's folder. Only a-z, 0-9, `_` and `-`, which every file system allows."""
    seed: Seed = 0
    """Seed of all random numbers."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device to compute on. `auto` prefers CUDA, then MPS, then the CPU."""
    dataset: DatasetConfig
    """The data to train on and to compare samples with."""
    codec: CodecConfig | None = None
    """Encodes the data before training and decodes samples. By default, the data itself is modeled."""
    source: SourceConfig = slot("gaussian")
    """The distribution of x0, from which sampling starts."""
    coupling: CouplingConfig = slot("independent")
    """Which x0 of a batch is paired with which x1 in training."""
    backbone: BackboneConfig
    """The network."""
    objective: ObjectiveConfig
    """What the network learns."""
    sampler: SamplerConfig
    """How samples are drawn from the trained network."""
    guidance: tuple[GuidanceConfig, ...] = ()
    """What changes the field of the trained model before sampling, in this order."""
    metrics: tuple[MetricConfig, ...] = ()
    """The metrics that compare generated with real samples."""
    observers: tuple[ObserverConfig, ...] = ()
    """What follows the run, such as loggers."""
    init_from: RunRef | None = None
    """A run to take the initial weights from, the averaged ones if it has any. The optimizer starts anew."""
    train: TrainSettings
    """How the network is trained."""
    sample: SampleSettings = SampleSettings()
    """Which samples are drawn."""
    evaluate: EvaluateSettings = EvaluateSettings()
    """How the trained model is evaluated."""
    # The source as written, without overrides.
    _text: str = PrivateAttr(default="")

    @field_validator("version")
    @classmethod
    def _readable(cls, version: int) -> int:
        if version == 1:
            raise ValueError(f"got version 1; expected {VERSION}; change the recipe as follows: {SINCE_VERSION_1}")
        if version != VERSION:
            raise ValueError(f"got version {version}; expected {VERSION}, the version that this gentoolkit supports")
        return version

    @field_validator("name")
    @classmethod
    def _folder_name(cls, name: str) -> str:
        if not re.fullmatch(NAME, name):
            raise ValueError(
                f"got {shown(name)}; expected 1 to 200 of a-z, 0-9, '_' and '-', starting with a letter or digit"
            )
        return name

    @field_validator("*")
    @classmethod
    def _keep(cls, value: Any, info: ValidationInfo) -> Any:
        """Record the valid sections in the context, so that they can be checked although others are invalid."""
        if info.context is not None:
            info.context.sections[info.field_name] = value
        return value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.resolved() == other.resolved()

    __hash__ = None  # type: ignore[assignment]

    @property
    def text(self) -> str:
        """Return the source as written, without overrides."""
        return self._text

    @property
    def data_spec(self) -> DataSpec:
        """Return the spec of the data. Its condition is droppable if training drops conditions."""
        return data_spec(self.dataset, self.train)

    @property
    def spec(self) -> DataSpec:
        """Return the spec of what is modeled: of the encoded data if there is a codec, else of the data."""
        return encoded_spec(self.codec, self.data_spec)

    def with_init_from(self, reference: RunRef) -> Recipe:
        """Return the recipe with another reference for the initial weights."""
        changed = self.model_copy(update={"init_from": reference})
        changed._text = self._text
        return changed

    def components(self) -> Iterator[tuple[Path, Config]]:
        """Yield the config of every component, also of those in slots, with its path, e.g. ("metrics", "0")."""
        yield from components_of(dict(self))

    def needs_of(self, role: Role) -> frozenset[str]:
        """Return the capabilities that the components of the recipe need of a role."""
        needs = (need for _, config in self.components() for need in config.needs())
        return frozenset(need.capability for need in needs if need.role == role)

    def resolved(self) -> dict[str, Any]:
        """Return the recipe as plain JSON data with all defaults. See `dump_recipe` for YAML."""
        return self.model_dump(mode="json")


SINCE_VERSION_1 = (
    "objective.times=stratified is now objective.stratified=true, and objective.weight_power=p is now "
    "objective.weighting={type: power, power: p}; sample.guidance=w is now guidance={type: cfg, scale: w}; "
    "train.learning_rate, betas and weight_decay are now fields of "
    "train.optimizer; train.optimizer=muon is now train.optimizer={type: muon, learning_rate: ..., momentum: ..., "
    "iterations: ..., weight_decay: ..., rest: {learning_rate: ..., betas: ..., weight_decay: ...}}, in place of "
    "train.matrix_learning_rate, matrix_momentum and matrix_iterations; train.warmup_steps is now "
    "train.schedule.warmup_steps; train.schedule_unit=epoch is now train.schedule.per_epoch=true; and "
    "train.ema_decay=d is now train.ema.decay=d"
)


def components_of(sections: Mapping[str, object]) -> Iterator[tuple[Path, Config]]:
    """Yield the config of every component in sections of a recipe, also of those in slots, with its path."""
    for name, section in sections.items():
        yield from configs_in(section, (name,))


def data_spec(dataset: DatasetConfig, train: TrainSettings | None) -> DataSpec:
    """Return a dataset's spec, with a droppable condition if training drops conditions."""
    spec = dataset.spec()
    if not isinstance(spec, DataSpec):
        raise TypeError(f"it returned {spec!r}; expected a DataSpec")
    return spec.with_droppable_condition() if train and train.condition_dropout > 0 else spec


def encoded_spec(codec: CodecConfig | None, spec: DataSpec) -> DataSpec:
    """Return the spec of encoded data, with the condition of the data; without a codec, that of the data."""
    if codec is None:
        return spec
    encoded = codec.spec(spec)
    if not isinstance(encoded, DataSpec):
        raise TypeError(f"it returned {encoded!r}; expected a DataSpec")
    return replace(encoded, condition=spec.condition, paired=spec.paired)


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
