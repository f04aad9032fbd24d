"""All of gentoolkit that a plugin's declaration imports. No torch here: listing a plugin costs milliseconds.

A whole plugin, whose settings are pydantic's fields::

    from pydantic import Field

    from gentoolkit.api import Component, SamplerConfig, hookimpl

    class HeunConfig(SamplerConfig):
        num_steps: int = Field(default=10, ge=1)

    @hookimpl
    def gentoolkit_components():
        yield Component("heun", HeunConfig, f"{__name__}.heun:Heun", tiny=HeunConfig(num_steps=2))

named in its `pyproject.toml`::

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
#: The five kinds of component, in the order in which a recipe names them.
KINDS = ("dataset", "backbone", "objective", "sampler", "metric")

hookimpl = pluggy.HookimplMarker("gentoolkit")
hookspec = pluggy.HookspecMarker("gentoolkit")


@dataclass(frozen=True)
class Labels:
    """A class label, int64 in [0, num_classes).

    Attributes:
        num_classes: How many classes there are.
        droppable: Training drops labels, so the backbone must know the null label `num_classes` too.
    """

    num_classes: int
    droppable: bool = False

    def null_like(self, condition: Tensor) -> Tensor:
        """Return the null label for each entry of `condition`, (B,)."""
        return condition * 0 + self.num_classes


@dataclass(frozen=True)
class Vectors:
    """A float32 vector of `dim` entries. Where `droppable`, the zero vector stands for no condition."""

    dim: int
    droppable: bool = False

    def null_like(self, condition: Tensor) -> Tensor:
        """Return the zero vector for each row of `condition`, (B, D)."""
        return condition * 0


@dataclass(frozen=True)
class DataSpec:
    """What a dataset hands out, known without torch.

    Attributes:
        shape: The shape of one sample, e.g. (C, H, W).
        condition: `Labels`, `Vectors`, or None for unconditional data.
        value_range: The smallest and largest value a sample can have, or None where there is no bound.
        paired: Whether batches bring their own x0.
        gaussian: Whether the samples of each class are about N(mean, std² I): the evaluation then holds the model
            against the best field for a Gaussian model of each class. A dataset that knows its posterior
            (`gentoolkit.protocols.KnownPosterior`) is held against the exact field without that.
        colormap: The matplotlib colormap that pictures of samples (C, H, W) show channel 0 in. None for images: three
            channels are shown in color, any other number as channel 0 in grey where it is one, else in viridis.
    """

    shape: tuple[int, ...]
    condition: Labels | Vectors | None = None
    value_range: tuple[float, float] | None = None
    paired: bool = False
    gaussian: bool = False
    colormap: str | None = None

    def with_droppable_condition(self) -> DataSpec:
        """Return the spec for a training that drops conditions; unconditional data stays as it is."""
        return replace(self, condition=self.condition and replace(self.condition, droppable=True))


class Problem(NamedTuple):
    """Why a config does not fit the data: the field to blame (None: the whole) and what is wrong, with the cure."""

    field: str | None
    message: str


class Config(Strict):
    """Base of every component's config. Use one of the five bases below, which say the kind."""

    kind: ClassVar[str] = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse fields that a recipe could not set or that hide a method.

        Raises:
            PluginError: A field is named `type`, or as a method of a base, such as `check`.
        """
        super().__pydantic_init_subclass__(**kwargs)
        bases = [base for base in cls.__mro__[1:] if issubclass(base, Config)]
        if taken := [name for name in cls.model_fields if name == "type" or any(hasattr(b, name) for b in bases)]:
            raise PluginError(f"{cls.__name__}: {listing(taken)} can't be a field's name; rename it")

    def check(self, spec: DataSpec) -> Iterator[Problem]:
        """Yield why this config can't work with such data; nothing by default."""
        yield from ()


class DatasetConfig(Config):
    """Config of a dataset, built by `factory(config, split, seed)`; split is "train" or "held_out"."""

    kind = "dataset"

    def spec(self) -> DataSpec:
        """Return what the dataset hands out, without torch."""
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


#: What a component may declare of its nature, so that contracts ask the right questions.
TRAITS: Mapping[str, frozenset[str]] = {
    "objective": frozenset({"coupled"}),
    "sampler": frozenset({"adaptive", "stochastic"}),
}


@dataclass(frozen=True)
class Component:
    """One thing that a recipe can name.

    Attributes:
        name: Its `type` in a recipe (third-party: after `distribution-name/`): a-z, 0-9, `_`, `-`.
        config: The config class; its base says the kind.
        factory: "package.module:attribute", imported when a run builds the component; with `f"{__name__}.module:..."`
            the package can be renamed. It raises `UsageError` for what the user can mend, such as a folder that is
            missing or an extra that is not installed; the message, with the cure, is all that the user then sees.
        tiny: The smallest useful config; contracts and smoke tests build it.
        tiny_spec: The data that `tiny` fits; needed for backbones.
        traits: What it is by nature: "adaptive", "stochastic" for samplers; "coupled" for objectives that pair x0
            with x1 within a batch, such as by optimal transport.
        expected_failures: Contract id -> why the component can't satisfy it. Shown, never hidden.

    Raises:
        PluginError: Something is not as stated above.
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

        need(bool(re.fullmatch(r"[a-z0-9][a-z0-9_-]*", self.name)), "name must be a-z, 0-9, '_' and '-'")
        need(isinstance(self.config, type) and issubclass(self.config, Config), "config must be a config class")
        need(self.config.kind in KINDS, f"config must derive from the base of one kind: {', '.join(KINDS)}")
        need(bool(re.fullmatch(r"[\w.]+:[\w.]+", self.factory)), f"factory {self.factory!r} is not 'module:attribute'")
        need(isinstance(self.tiny, self.config), f"tiny must be a {self.config.__name__}")
        need(self.kind != "backbone" or self.tiny_spec is not None, "a backbone needs tiny_spec")
        known = TRAITS.get(self.kind, frozenset())
        need(self.traits <= known, f"traits {listing(self.traits - known)} unknown; a {self.kind} has {listing(known)}")

    @property
    def kind(self) -> str:
        """Return "dataset", "backbone", "objective", "sampler" or "metric"."""
        return self.config.kind


class Hooks:
    """What a plugin may implement, each with `@hookimpl`; all are optional but `gentoolkit_components`.

    A plugin that only adds verbs or observes runs declares no components. `directory` is always the run's. An
    implementation takes only the arguments that it needs.
    """

    @hookspec
    def gentoolkit_components(self) -> Iterable[Component]:  # type: ignore[empty-body]
        """Return the components that the plugin offers."""

    @hookspec
    def gentoolkit_commands(self) -> Iterable[click.Command]:  # type: ignore[empty-body]
        """Return verbs to add to `gentool`; a plugin with a verb whose name is taken is left out."""

    @hookspec
    def gentoolkit_run_started(self, directory: str, recipe: Mapping[str, Any]) -> None:
        """Called when a run, or its resumption, begins; `recipe` is the resolved recipe as plain data."""

    @hookspec
    def gentoolkit_step(self, directory: str, step: int, values: Mapping[str, float]) -> None:
        """Called after a logged step, with its loss, velocity error, gradient norm and learning rates."""

    @hookspec
    def gentoolkit_validation(self, directory: str, step: int, values: Mapping[str, Any]) -> None:
        """Called after a validation between two steps; `values` has `loss` and `loss_by_t`."""

    @hookspec
    def gentoolkit_checkpoint(self, directory: str, step: int, checkpoint: str) -> None:
        """Called after a checkpoint has been written and verified; `checkpoint` is its folder."""

    @hookspec
    def gentoolkit_samples(self, directory: str, file: str) -> None:
        """Called after samples have been written to `file`."""

    @hookspec
    def gentoolkit_run_finished(self, directory: str, results: Mapping[str, Any]) -> None:
        """Called with the results of a run that has finished."""

    @hookspec
    def gentoolkit_run_failed(self, directory: str, error: str) -> None:
        """Called when a run ends without finishing: by an error, or stopped by a signal; `error` says why."""

    @hookspec
    def gentoolkit_run_closed(self, directory: str) -> None:
        """Called last, whether the run finished, failed or was stopped; observers close their files here."""
