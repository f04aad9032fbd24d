"""Config classes: the settings of a component, which may have slots for other components."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeGuard, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PrivateAttr,
    ValidationInfo,
)
from pydantic_core import CoreSchema, core_schema

from gentoolkit.errors import PluginError, listing
from gentoolkit.spec import DataSpec
from gentoolkit.strict import Strict

T = TypeVar("T")

#: Key that marks a slot in a JSON schema, with the kind of its components.
SLOT = "x-gentoolkit-kind"


class Problem(NamedTuple):
    """A reason why a config does not fit the data.

    Attributes:
        field: The field that is at fault, or None for the whole config.
        message: What is wrong and how to fix it.
    """

    field: str | None
    message: str


#: The parts of a recipe that a component can depend on.
Role = Literal["data", "source", "backbone", "objective", "field", "sampler"]


class Need(NamedTuple):
    """A capability that a component needs of another one.

    Attributes:
        role: The part of the recipe that has to offer it. "field" is what the objective's field and every guidance
            offer, e.g. "velocity" or "flow_map".
        capability: The name of the capability, e.g. "tokens".
        field: The field that causes the need, or None for the whole config.
    """

    role: Role
    capability: str
    field: str | None = None


class Resolver(Protocol):
    """Turns the contents of a slot into a config. Passed to pydantic as validation context; see `Registry`."""

    def resolve(self, kind: str, data: object) -> Config:
        """Return the config that recipe data describes: a name, or a mapping with `type` and fields."""
        ...


def is_base(cls: type) -> TypeGuard[type[Config]]:
    """Return whether a class is the base class of a kind, not a config of a component."""
    return hasattr(cls, "_from_recipe") and bool(vars(cls).get("kind"))


class Config(Strict):
    """Base class of all component configs. Derive from the base class of a kind, e.g. `SamplerConfig`.

    A field that is annotated with such a base class is a slot: a recipe names a component of that kind in it. The core
    builds the component and passes it to this component's factory as a keyword argument with the field's name.
    """

    model_config = ConfigDict(defer_build=True)  # a command uses few of the installed components

    kind: ClassVar[str] = ""
    # The registry's entry, for a config from a recipe. Part of comparisons, since two components may share a class.
    _entry: Any = PrivateAttr(default=None)

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
        for name, field in cls.model_fields.items():
            if any(not is_base(model) and slots_of(model) for model in models_in(field.annotation)):
                raise PluginError(f"{cls.__name__}.{name}: a slot must be a field of the config itself")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return a schema that finds the component by its name if this is the base class of a kind."""
        if not is_base(cls):
            return handler(source)
        # A field annotated with the base class would otherwise be written without the fields of the actual class.
        written = core_schema.plain_serializer_function_ser_schema(to_data)
        return core_schema.with_info_plain_validator_function(cls._from_recipe, serialization=written)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Mark slots, for `gentoolkit.recipe.schema`."""
        return {SLOT: cls.kind} if is_base(cls) else handler(schema)

    @classmethod
    def _from_recipe(cls, data: object, info: ValidationInfo) -> Config:
        if isinstance(data, cls):
            return data
        if info.context is None:
            raise PluginError(
                f"a config with a slot for a {cls.kind} can only be made by a registry, which knows the components; "
                "use load_plugins().registry.resolve(kind, data)"
            )
        return info.context.resolve(cls.kind, data)

    def check(self, spec: DataSpec) -> Iterator[Problem]:
        """Yield a `Problem` for each reason why this config can't work with the data; by default, none."""
        yield from ()

    def offers(self) -> Iterable[str]:
        """Return the capabilities that other components may need; by default, none."""
        return ()

    def needs(self) -> Iterable[Need]:
        """Return what this component needs of others; by default, nothing. `gentool validate` checks it."""
        return ()


def slot(default: object = ...) -> Any:
    """Return the definition of a slot with a default component, as recipe data, e.g. "linear" or {"type": ...}."""
    return Field(default=default, validate_default=True)


def slots_of(model: type[BaseModel]) -> dict[str, str]:
    """Return the slots of a config class: field -> kind."""
    found = {name: filter(is_base, models_in(field.annotation)) for name, field in model.model_fields.items()}
    return {name: base.kind for name, bases in found.items() for base in bases}


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models in a field's annotation, such as those in a tuple or a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def completed(model: type[BaseModel], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return recipe data of a model with what may be left out in slots.

    A slot without a `type` has that of its default: with the default "power", `{p: 2}` means `{type: power, p: 2}`.
    Instead of a list of one component, the component itself may be given.
    """
    done = dict(fields)
    for name, field in model.model_fields.items():
        data, inner = fields.get(name), next(models_in(field.annotation), None)
        if inner is not None and is_base(inner) and name in fields and get_origin(field.annotation) is tuple:
            done[name] = [data] if isinstance(data, str | dict) else data
            continue
        if inner is None or not isinstance(data, dict):
            continue
        if not is_base(inner):
            done[name] = completed(inner, data)
        elif isinstance(field.default, str | dict) and "type" not in data:
            default = {"type": field.default} if isinstance(field.default, str) else field.default
            done[name] = {**default, **data}
    return done


def to_data(config: Config) -> dict[str, Any]:
    """Return a config from a recipe as recipe data: its type, and all fields with their values."""
    return {"type": config._entry.name, **config.model_dump(mode="json")}


def configs_in(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Config]]:
    """Yield the component configs in a value (a config, settings, a list, a mapping) at any depth, outer ones first.

    Args:
        value: The value.
        path: Its path, which the paths of the configs begin with.
    """
    yield from instances_in(value, Config, path)


def instances_in(value: object, cls: type[T], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], T]]:
    """Yield the instances of a class in a value and their paths; see `configs_in`."""
    if isinstance(value, cls):
        yield path, value
    if isinstance(value, BaseModel):
        items: Iterable[tuple[object, object]] = value
    elif isinstance(value, Mapping):
        items = value.items()
    else:
        items = enumerate(value) if isinstance(value, tuple | list) else ()
    for key, item in items:
        yield from instances_in(item, cls, (*path, str(key)))


class DatasetConfig(Config):
    """Config of a dataset, built by `factory(config, split, seed)`; split is "train" or "held_out"."""

    kind = "dataset"

    def spec(self) -> DataSpec:
        """Return the description of the samples, without importing torch.

        Raises:
            UsageError: The user's files don't give one, e.g. because they are not what the config says.
        """
        raise NotImplementedError(f"{type(self).__name__} must define spec() -> DataSpec")


class CodecConfig(Config):
    """Config of a codec, built by `factory(config, spec)` with the spec of the data."""

    kind = "codec"

    def spec(self, spec: DataSpec) -> DataSpec:
        """Return the description of encoded samples, without importing torch; by default, that of the data.

        The condition, and whether the data is paired, stay as they are in `spec`.

        Args:
            spec: The description of the data.
        """
        return spec


class SourceConfig(Config):
    """Config of a source, built by `factory(config, spec)` with the spec of what is modeled.

    `offers` contains "gaussian" if the source draws x0 ~ N(0, I).
    """

    kind = "source"


class CouplingConfig(Config):
    """Config of a coupling, built by `factory(config)`.

    Attributes:
        uses_batch: Whether pairs depend on the other samples of the batch. If not, the core keeps the rows as they were
            drawn and never calls the coupling.
    """

    kind = "coupling"
    uses_batch: ClassVar[bool] = True


class BackboneConfig(Config):
    """Config of a backbone, built by `factory(config, spec, needs)`.

    `needs` has those of the capabilities that the config offers which the recipe's other components need.
    """

    kind = "backbone"


class ObjectiveConfig(Config):
    """Config of an objective, built by `factory(config)`."""

    kind = "objective"

    def offers(self) -> Iterable[str]:
        """Return the types of field that the objective trains: "velocity" and, for flow maps, "flow_map"."""
        return ("velocity",)


class PathConfig(Config):
    """Config of a path, built by `factory(config)`."""

    kind = "path"


class TimesConfig(Config):
    """Config of a distribution of training times, built by `factory(config)`."""

    kind = "times"


class WeightingConfig(Config):
    """Config of a loss weighting, built by `factory(config)`."""

    kind = "weighting"


class PredictionConfig(Config):
    """Config of a prediction, built by `factory(config)`."""

    kind = "prediction"


class GridConfig(Config):
    """Config of a sampler's times, built by `factory(config)`."""

    kind = "grid"


class SamplerConfig(Config):
    """Config of a sampler, built by `factory(config)`."""

    kind = "sampler"


class FixedGridConfig(SamplerConfig):
    """Config of a sampler that derives from `gentoolkit.samplers.FixedGrid`, built by `factory(config, grid=...)`."""

    num_steps: int = Field(default=20, ge=1, le=1_000_000)
    """Number of steps."""
    grid: GridConfig = slot("uniform")
    """The times between the steps."""


class GuidanceConfig(Config):
    """Config of a guidance, built by `factory(config)`."""

    kind = "guidance"

    def keeps(self) -> Iterable[str]:
        """Return the types of field that stay what they are: "velocity" and, for flow maps, "flow_map"."""
        return ("velocity",)


class FeaturesConfig(Config):
    """Config of features, built by `factory(config, spec, seed, train)`; train is the training split.

    `offers` contains "classes" if the features belong to a classifier (`gentoolkit.protocols.Classifier`).
    """

    kind = "features"


class MetricConfig(Config):
    """Config of a metric, built by `factory(config, spec, seed, train)`; train is the training split."""

    kind = "metric"


class ObserverConfig(Config):
    """Config of an observer, built by `factory(config, directory)`; directory is that of the run."""

    kind = "observer"


class OptimizerConfig(Config):
    """Config of an optimizer, built by `factory(config, parameters)`.

    In a slot, the core passes the outer factory a function that builds the optimizer: `rest(parameters=...)`.
    """

    kind = "optimizer"
    #: How many numbers the optimizer keeps per weight. The check of the memory before a run counts them.
    state_per_weight: ClassVar[int] = 0


class ScheduleConfig(Config):
    """Config of a learning-rate schedule, built by `factory(config)`."""

    kind = "schedule"

    def check_length(self, total_steps: int) -> Iterator[Problem]:
        """Yield a `Problem` for each reason why a run can't have this number of steps; by default, none."""
        yield from ()
