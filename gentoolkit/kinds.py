"""The kinds of component. Everything that depends on the kind walks this table."""

from __future__ import annotations

from dataclasses import dataclass

from gentoolkit.configs import (
    BackboneConfig,
    CodecConfig,
    Config,
    CouplingConfig,
    DatasetConfig,
    FeaturesConfig,
    GridConfig,
    GuidanceConfig,
    MetricConfig,
    ObjectiveConfig,
    ObserverConfig,
    OptimizerConfig,
    PathConfig,
    PredictionConfig,
    SamplerConfig,
    ScheduleConfig,
    SourceConfig,
    TimesConfig,
    WeightingConfig,
)


@dataclass(frozen=True)
class Kind:
    """A kind of component.

    Attributes:
        config: The base class of its configs, which has the kind's name.
        protocol: The interface of its components, "module:attribute".
        contracts: The modules of `gentoolkit.testing` with its contracts. The first has a function `observe`, which
            returns what must be equal for two equal components. If the factory takes arguments that are not the same
            for all contracts, it also has a function `arguments`, which returns them.
        arguments: What the factory receives after the config: "split", "seed", "spec", "train", "needs", "parameters"
            or "directory". Components in slots follow as keyword arguments.
        deferred: Whether the outer component chooses the arguments of one in a slot. Its factory then receives a
            function that builds the inner one, such as `rest(parameters=...)`, instead of the inner one itself.
        traits: Traits that its components can declare; contracts adapt to them.
        has_weights: Whether its components may draw initial weights from torch's global generator.
        needs_spec: Whether its components must declare `tiny_spec`.
    """

    config: type[Config]
    protocol: str
    contracts: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    deferred: bool = False
    traits: frozenset[str] = frozenset()
    has_weights: bool = False
    needs_spec: bool = False

    @property
    def name(self) -> str:
        """Return the name, e.g. "sampler"."""
        return self.config.kind


def _table(*kinds: Kind) -> dict[str, Kind]:
    return {kind.name: kind for kind in kinds}


#: Name -> kind, in the order in which a recipe lists them.
KINDS = _table(
    Kind(DatasetConfig, "gentoolkit.protocols:Dataset", ("dataset", "dataset_splits"), arguments=("split", "seed")),
    Kind(CodecConfig, "gentoolkit.protocols:Codec", ("codec",), arguments=("spec",), traits=frozenset({"lossy"})),
    Kind(SourceConfig, "gentoolkit.protocols:Source", ("source",), arguments=("spec",), traits=frozenset({"finite"})),
    Kind(CouplingConfig, "gentoolkit.protocols:Coupling", ("coupling",)),
    Kind(
        BackboneConfig,
        "gentoolkit.protocols:Backbone",
        ("backbone", "dependence"),
        arguments=("spec", "needs"),
        has_weights=True,
        needs_spec=True,
    ),
    Kind(
        ObjectiveConfig,
        "gentoolkit.protocols:Objective",
        ("objective", "objective_statistics"),
        has_weights=True,
    ),
    Kind(PathConfig, "gentoolkit.paths:Path", ("path",)),
    Kind(TimesConfig, "gentoolkit.protocols:Times", ("times",)),
    Kind(WeightingConfig, "gentoolkit.protocols:Weighting", ("weighting",)),
    Kind(PredictionConfig, "gentoolkit.fields:Prediction", ("prediction",)),
    Kind(
        SamplerConfig,
        "gentoolkit.protocols:Sampler",
        ("sampler", "sampler_traits"),
        traits=frozenset({"adaptive", "stochastic"}),
    ),
    Kind(GridConfig, "gentoolkit.protocols:Grid", ("grid",)),
    Kind(GuidanceConfig, "gentoolkit.protocols:Guidance", ("guidance",)),
    Kind(FeaturesConfig, "gentoolkit.protocols:Features", ("features",), arguments=("spec", "seed", "train")),
    Kind(
        MetricConfig,
        "gentoolkit.protocols:Metric",
        ("metric",),
        arguments=("spec", "seed", "train"),
        traits=frozenset({"absolute"}),
    ),
    Kind(ObserverConfig, "gentoolkit.observers:Observer", ("observer",), arguments=("directory",)),
    Kind(
        OptimizerConfig,
        "gentoolkit.protocols:Optimizer",
        ("optimizer",),
        arguments=("parameters",),
        deferred=True,
    ),
    Kind(ScheduleConfig, "gentoolkit.protocols:Schedule", ("schedule",)),
)
