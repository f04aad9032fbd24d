"""Everything that a plugin's declaration imports from gentoolkit.

This module does not import torch, so listing a plugin takes milliseconds. A complete plugin, with pydantic fields as
settings::

    from pydantic import Field

    from gentoolkit.api import Component, SamplerConfig, hookimpl

    class HeunConfig(SamplerConfig):
        num_steps: int = Field(default=10, ge=1)

    @hookimpl
    def gentoolkit_components():
        yield Component("heun", HeunConfig, f"{__name__}.heun:Heun", tiny=HeunConfig(num_steps=2))

and its entry point in `pyproject.toml`::

    [project.entry-points."gentoolkit.plugins.v1"]
    my-package = "my_package"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pluggy

from gentoolkit.errors import GentoolError, PluginError, UsageError, listing
from gentoolkit.settings import Strict

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click
    from torch import Tensor

__all__ = [
    "API_VERSION",
    "BackboneConfig",
    "Component",
    "DataSpec",
    "DatasetConfig",
    "GentoolError",
    "KINDS",
    "Labels",
    "MetricConfig",
    "ObjectiveConfig",
    "PluginError",
    "Problem",
    "SamplerConfig",
    "UsageError",
    "Vectors",
    "hookimpl",
]

API_VERSION = 1
#: The five kinds of component, in the order in which a recipe lists them.
KINDS = ("dataset", "backbone", "objective", "sampler", "metric")

hookimpl = pluggy.HookimplMarker("gentoolkit")
hookspec = pluggy.HookspecMarker("gentoolkit")


@dataclass(frozen=True)
class Labels:
    """A class label, int64 in [0, num_classes).

    Attributes:
        num_classes: Number of classes.
        droppable: Whether training drops labels. The backbone must then accept the null label `num_classes` too.
    """

    num_classes: int
    droppable: bool = False

    def null_like(self, condition: Tensor) -> Tensor:
        """Return the null label for each entry of `condition`, (B,)."""
        return condition * 0 + self.num_classes


@dataclass(frozen=True)
class Vectors:
    """A float32 vector with `dim` entries. If `droppable`, the zero vector is the null condition."""

    dim: int
    droppable: bool = False

    def null_like(self, condition: Tensor) -> Tensor:
        """Return the zero vector for each row of `condition`, (B, D)."""
        return condition * 0


@dataclass(frozen=True)
class DataSpec:
    """Description of a dataset's samples, available without importing torch.

    Attributes:
        shape: Shape of one sample, e.g. (C, H, W).
        condition: `Labels`, `Vectors`, or None for unconditional data.
        value_range: Smallest and largest possible value, or None if values are unbounded.
        paired: Whether each batch includes its own x0.
        gaussian: Whether the samples of each class are approximately N(mean, std² I). The evaluation then compares the
            model with the best field for a Gaussian model of each class. A dataset with a known posterior
            (`gentoolkit.protocols.KnownPosterior`) does not need this: the model is compared with the exact field.
        colormap: Matplotlib colormap in which pictures of samples (C, H, W) show channel 0. None for images: three
            channels are shown in color, one in gray; for other numbers of channels, channel 0 is shown in viridis.
    """

    shape: tuple[int, ...]
    condition: Labels | Vectors | None = None
    value_range: tuple[float, float] | None = None
    paired: bool = False
    gaussian: bool = False
    colormap: str | None = None

    def with_droppable_condition(self) -> DataSpec:
        """Return the spec for training that drops conditions; unconditional data is unchanged."""
        return replace(self, condition=self.condition and replace(self.condition, droppable=True))


class Problem(NamedTuple):
    """A reason why a config does not fit the data.

    Attributes:
        field: The field that is at fault, or None for the whole config.
        message: What is wrong and how to fix it.
    """

    field: str | None
    message: str


class Config(Strict):
    """Base class of all component configs. Derive from one of the five classes below, which set the kind."""

    kind: ClassVar[str] = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Reject fields that a recipe could not set or that hide an attribute of a base class.

        Raises:
            PluginError: A field is named `type` or like an attribute of a base class, such as `check`.
        """
        super().__pydantic_init_subclass__(**kwargs)
        bases = [base for base in cls.__mro__[1:] if issubclass(base, Config)]
        if taken := [name for name in cls.model_fields if name == "type" or any(hasattr(b, name) for b in bases)]:
            raise PluginError(f"{cls.__name__}: {listing(taken)} can't be used as a field name; rename the field")

    def check(self, spec: DataSpec) -> Iterator[Problem]:
        """Yield a `Problem` for each reason why this config can't work with the data; by default, none."""
        yield from ()


class DatasetConfig(Config):
    """Config of a dataset, built by `factory(config, split, seed)`; split is "train" or "held_out"."""

    kind = "dataset"

    def spec(self) -> DataSpec:
        """Return the description of the samples, without importing torch."""
        raise NotImplementedError(f"{type(self).__name__} must define spec() -> DataSpec")


class BackboneConfig(Config):
    """Config of a backbone, built by `factory(config, spec)`."""

    kind = "backbone"


class ObjectiveConfig(Config):
    """Config of an objective, built by `factory(config)`."""

    kind = "objective"


class SamplerConfig(Config):
    """Config of a sampler, built by `factory(config)`."""

    kind = "sampler"


class MetricConfig(Config):
    """Config of a metric, built by `factory(config)`."""

    kind = "metric"


#: Traits that a component of each kind can declare; contracts adapt to them.
TRAITS: Mapping[str, frozenset[str]] = {
    "objective": frozenset({"coupled"}),
    "sampler": frozenset({"adaptive", "stochastic"}),
}


@dataclass(frozen=True)
class Component:
    """A component that recipes can use.

    Attributes:
        name: The component's `type` in a recipe, prefixed with `distribution-name/` for third-party components. Allowed
            characters: a-z, 0-9, `_`, `-`.
        config: The config class; its base class sets the kind.
        factory: "package.module:attribute", imported when a run builds the component. With `f"{__name__}.module:..."`
            the package can be renamed. The factory raises `UsageError` for problems that the user can fix, such as a
            missing folder or an extra that is not installed. The user then sees only the message, so it should include
            the fix.
        tiny: The smallest useful config; contracts and smoke tests build the component from it.
        tiny_spec: Data that `tiny` fits; required for backbones.
        traits: "adaptive" and "stochastic" for samplers; "coupled" for objectives that pair x0 with x1 within a batch,
            for example by optimal transport.
        expected_failures: Contract id -> why the component can't satisfy it. Always shown in results.

    Raises:
        PluginError: An argument is invalid.
    """

    name: str
    config: type[Config]
    factory: str
    tiny: Config
    tiny_spec: DataSpec | None = None
    traits: frozenset[str] = frozenset()
    expected_failures: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        def need(true: bool, message: str) -> None:
            if not true:
                raise PluginError(f"component {self.name!r}: {message}")

        need(bool(re.fullmatch(r"[a-z0-9][a-z0-9_-]*", self.name)), "name must consist of a-z, 0-9, '_' and '-'")
        need(isinstance(self.config, type) and issubclass(self.config, Config), "config must be a config class")
        need(self.config.kind in KINDS, f"config must derive from the config class of a kind: {', '.join(KINDS)}")
        need(bool(re.fullmatch(r"[\w.]+:[\w.]+", self.factory)), f"factory {self.factory!r} is not 'module:attribute'")
        need(isinstance(self.tiny, self.config), f"tiny must be a {self.config.__name__}")
        need(self.kind != "backbone" or self.tiny_spec is not None, "a backbone requires tiny_spec")
        known = TRAITS.get(self.kind, frozenset())
        unknown = listing(self.traits - known)
        need(self.traits <= known, f"unknown traits {unknown}; possible traits of a {self.kind}: {listing(known)}")

    @property
    def kind(self) -> str:
        """Return "dataset", "backbone", "objective", "sampler" or "metric"."""
        return self.config.kind


class Hooks:
    """The hooks that a plugin can implement, each marked with `@hookimpl`.

    A plugin implements at least one of them, and takes only the arguments that it needs. `directory` is always the
    directory of the run.
    """

    @hookspec
    def gentoolkit_components(self) -> Iterable[Component]:  # type: ignore[empty-body]
        """Return the plugin's components."""

    @hookspec
    def gentoolkit_commands(self) -> Iterable[click.Command]:  # type: ignore[empty-body]
        """Return commands to add to `gentool`. A plugin with a command whose name is taken is not loaded."""

    @hookspec
    def gentoolkit_run_started(self, directory: str, recipe: Mapping[str, Any]) -> None:
        """Called when a run starts or is resumed; `recipe` is the resolved recipe as plain data."""

    @hookspec
    def gentoolkit_step(self, directory: str, step: int, values: Mapping[str, float]) -> None:
        """Called after a logged step; `values` has its loss, velocity error, gradient norm and learning rates."""

    @hookspec
    def gentoolkit_validation(self, directory: str, step: int, values: Mapping[str, Any]) -> None:
        """Called after a validation during training; `values` has `loss` and `loss_by_t`."""

    @hookspec
    def gentoolkit_checkpoint(self, directory: str, step: int, checkpoint: str) -> None:
        """Called after a checkpoint has been written and verified; `checkpoint` is its folder."""

    @hookspec
    def gentoolkit_samples(self, directory: str, file: str) -> None:
        """Called after samples have been written to `file`."""

    @hookspec
    def gentoolkit_run_finished(self, directory: str, results: Mapping[str, Any]) -> None:
        """Called when a run has finished, with its results."""

    @hookspec
    def gentoolkit_run_failed(self, directory: str, error: str) -> None:
        """Called when a run ends because of an error or a signal; `error` is the reason."""

    @hookspec
    def gentoolkit_run_closed(self, directory: str) -> None:
        """Called last, after the run has finished, failed or been stopped; observers close their files here."""
