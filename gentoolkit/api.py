"""Everything that a plugin's declaration imports from gentoolkit.

This module does not import torch, so listing a plugin takes milliseconds. A complete plugin, with pydantic fields as
settings::

    from pydantic import Field

    from gentoolkit.api import Component, SamplerConfig, hookimpl

    class HeunConfig(SamplerConfig):
        num_steps: int = Field(default=10, ge=1)

    @hookimpl
    def gentoolkit_components():
        yield Component("heun", HeunConfig, f"{__name__}.heun:Heun", tiny={"num_steps": 2})

and its entry point in `pyproject.toml`::

    [project.entry-points."gentoolkit.plugins.v2"]
    my-package = "my_package"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pluggy

from gentoolkit.configs import (
    BackboneConfig,
    CodecConfig,
    Config,
    CouplingConfig,
    DatasetConfig,
    FeaturesConfig,
    FixedGridConfig,
    GridConfig,
    GuidanceConfig,
    MetricConfig,
    Need,
    ObjectiveConfig,
    ObserverConfig,
    OptimizerConfig,
    PathConfig,
    PredictionConfig,
    Problem,
    SamplerConfig,
    ScheduleConfig,
    SourceConfig,
    TimesConfig,
    WeightingConfig,
    slot,
)
from gentoolkit.datafiles import DataFile, DataFolder
from gentoolkit.errors import GentoolError, PluginError, UsageError, listing
from gentoolkit.kinds import KINDS
from gentoolkit.references import RunRef
from gentoolkit.spec import Array, DataSpec, Labels

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "API_VERSION",
    "BackboneConfig",
    "CodecConfig",
    "Component",
    "CouplingConfig",
    "DataFile",
    "DataFolder",
    "DataSpec",
    "DatasetConfig",
    "FeaturesConfig",
    "FixedGridConfig",
    "GentoolError",
    "GridConfig",
    "GuidanceConfig",
    "Labels",
    "MetricConfig",
    "Need",
    "ObjectiveConfig",
    "ObserverConfig",
    "OptimizerConfig",
    "PathConfig",
    "PluginError",
    "PredictionConfig",
    "RunRef",
    "Problem",
    "SamplerConfig",
    "ScheduleConfig",
    "SourceConfig",
    "TimesConfig",
    "UsageError",
    "Array",
    "WeightingConfig",
    "hookimpl",
    "slot",
]

API_VERSION = 2

hookimpl = pluggy.HookimplMarker("gentoolkit")
hookspec = pluggy.HookspecMarker("gentoolkit")


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
        tiny: The smallest useful config as recipe data, without `type`; contracts and smoke tests build the component
            from it.
        tiny_spec: Data that `tiny` fits; required for backbones.
        traits: "adaptive" and "stochastic" for samplers; "finite" for sources that draw from finitely many points;
            "lossy" for codecs whose `decode` does not restore what `encode` received; "absolute" for metrics whose
            value does not depend on the real samples.
        expected_failures: Contract id -> why the component can't satisfy it. Always shown in results.

    Raises:
        PluginError: An argument is invalid.
    """

    name: str
    config: type[Config]
    factory: str
    tiny: Mapping[str, Any] = field(default_factory=dict)
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
        need(isinstance(self.tiny, Mapping), 'tiny must be a mapping such as {"num_steps": 2}')
        kind = KINDS[self.kind]
        need(not kind.needs_spec or self.tiny_spec is not None, f"a {kind.name} requires tiny_spec")
        known = kind.traits
        unknown = listing(self.traits - known)
        need(self.traits <= known, f"unknown traits {unknown}; possible traits of a {self.kind}: {listing(known)}")

    @property
    def kind(self) -> str:
        """Return the name of the kind, e.g. "sampler"."""
        return self.config.kind


class Hooks:
    """The hook that a plugin implements, marked with `@hookimpl`."""

    @hookspec
    def gentoolkit_components(self) -> Iterable[Component]:  # type: ignore[empty-body]
        """Return the plugin's components."""
