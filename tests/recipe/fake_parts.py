"""Components that need no torch and no plugin, for recipes in tests."""

from enum import Enum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gentoolkit.api import (
    Array,
    BackboneConfig,
    CodecConfig,
    Component,
    CouplingConfig,
    DatasetConfig,
    DataSpec,
    Labels,
    MetricConfig,
    ObjectiveConfig,
    ObserverConfig,
    OptimizerConfig,
    Problem,
    SamplerConfig,
    ScheduleConfig,
    SourceConfig,
)
from gentoolkit.errors import RecipeError
from gentoolkit.recipe import Recipe, parse_recipe
from gentoolkit.registry import Entry, Registry, entry_of, qualified
from gentoolkit.strict import Strict


class BlobsConfig(DatasetConfig):
    """Labeled images."""

    size: int = Field(default=8, ge=1)
    """Side of an image."""
    condition: Literal["labels", "vectors", "none"] = "labels"
    paired: bool = False

    def spec(self):
        if self.size == 666:
            raise RuntimeError("no such size")
        if self.size == 667:
            return "a spec"
        conditions = {"labels": Labels(3), "vectors": Array((5,)), "none": None}
        return DataSpec((1, self.size, self.size), conditions[self.condition], paired=self.paired)


class Layer(Strict):
    width: int
    dropout: float = 0.0


class Shape(Enum):
    FLAT = "flat"
    DEEP = "deep"


class NetConfig(BackboneConfig):
    """A network."""

    patch: int = 2
    depth: int = Field(ge=1)
    """How many blocks."""
    rate: float = Field(default=1e-4, gt=0, le=1)
    tags: tuple[str, ...] = Field(default=(), max_length=2)
    kernel: int | tuple[int, int] = 3
    head: Layer | None = None
    layers: tuple[Layer, ...] = ()
    shape: Shape = Shape.FLAT
    scales: dict[str, float] = Field(default={})
    fast: bool = False

    @model_validator(mode="after")
    def _unlucky(self):
        if self.depth == 13:
            raise ValueError("depth 13 is unlucky")
        if self.depth == 14:
            raise KeyError("a fault of the validator")
        return self

    def check(self, spec):
        if self.depth == 99:
            raise RuntimeError("check is broken")
        if spec.shape[1] % self.patch:
            yield Problem("patch", f"patch {self.patch} does not divide {spec.shape[1]}")
        if self.head and self.head.width > 100:
            yield Problem("head.width", "too wide for the data")
            yield Problem("head.width", "and too wide for the machine")
        if self.depth == 50:
            yield Problem(None, f"too deep for droppable={spec.condition and spec.condition.droppable}")


class HalvedConfig(CodecConfig):
    """Halves the sides of an image."""

    factor: int = Field(default=2, ge=1)

    def check(self, spec):
        if spec.shape[1] % self.factor:
            yield Problem("factor", f"factor {self.factor} does not divide {spec.shape[1]}")

    def spec(self, spec):
        if self.factor == 13:
            raise RuntimeError("no such factor")
        return DataSpec((1, *(side // self.factor for side in spec.shape[1:])))


class GaussianConfig(SourceConfig):
    def offers(self):
        return ("gaussian",)


class OtherSourceConfig(SourceConfig):
    dataset: DatasetConfig

    def check(self, spec):
        if self.dataset.spec().shape != spec.shape:
            yield Problem("dataset", f"x0 needs {spec.shape}")


class IndependentConfig(CouplingConfig):
    uses_batch = False


class SortedConfig(CouplingConfig):
    pass


class MatchingConfig(ObjectiveConfig):
    pass


class StepsConfig(SamplerConfig):
    num_steps: int = Field(default=20, ge=1)


class DistanceConfig(MetricConfig):
    num_projections: int = 64


class QuietConfig(ObserverConfig):
    every: int = 1


class OtherConfig(SamplerConfig):
    num_steps: int = 1
    name: str = ""


Decay = Annotated[float, Field(ge=0, lt=1)]


class AdamWConfig(OptimizerConfig):
    learning_rate: float = Field(default=1e-4, gt=0)
    betas: tuple[Decay, Decay] = (0.9, 0.999)


class CosineConfig(ScheduleConfig):
    warmup_steps: int = 0

    def check_length(self, total_steps):
        if self.warmup_steps == 666:
            raise RuntimeError("no such length")
        if self.warmup_steps >= total_steps:
            yield Problem("warmup_steps", f"too long for {total_steps} steps")


def registry():
    made = Registry()
    for component, distribution in (
        (Component("blobs", BlobsConfig, "nowhere:Blobs"), "gentoolkit"),
        (Component("halved", HalvedConfig, "nowhere:Halved"), "gentoolkit"),
        (Component("gaussian", GaussianConfig, "nowhere:Gaussian"), "gentoolkit"),
        (Component("dataset", OtherSourceConfig, "nowhere:Dataset"), "gentoolkit"),
        (Component("independent", IndependentConfig, "nowhere:Independent"), "gentoolkit"),
        (Component("sorted", SortedConfig, "nowhere:Sorted"), "gentoolkit"),
        (Component("net", NetConfig, "nowhere:Net", {"depth": 1}, DataSpec((1, 2, 2))), "gentoolkit"),
        (Component("matching", MatchingConfig, "nowhere:Matching"), "gentoolkit"),
        (Component("steps", StepsConfig, "nowhere:Steps"), "gentoolkit"),
        (Component("quiet", QuietConfig, "nowhere:Quiet"), "gentoolkit"),
        (Component("other", OtherConfig, "nowhere:Other"), "my-dist"),
        (Component("adamw", AdamWConfig, "nowhere:AdamW"), "gentoolkit"),
        (Component("cosine", CosineConfig, "nowhere:Cosine"), "gentoolkit"),
        (Component("distance", DistanceConfig, "nowhere:Distance"), "gentoolkit"),
    ):
        made.add(Entry(qualified(distribution, component.name), component, distribution, "1.0"))
    return made


REGISTRY = registry()

#: The lines that the tests replace; each stands at a known place.
LINES = {
    "version": "version: 2",
    "name": "name: small",
    "seed": "seed: 42",
    "dataset": "dataset: {type: blobs}",
    "backbone": "backbone: {type: net, depth: 2}",
    "objective": "objective: {type: matching}",
    "sampler": "sampler: {type: steps}",
    "metrics": "metrics: [{type: distance}]",
    "train": "train: {epochs: 5}",
    "sample": "sample: {}",
}


def text_of(**changes):
    """Return a valid recipe, a line for each key of LINES, with some lines replaced, added or (None) left out."""
    lines = {**LINES, **changes}
    return "\n".join(line for line in lines.values() if line is not None) + "\n"


def type_of(config):
    return entry_of(config).name


def parsed(text, *overrides):
    return parse_recipe(text, "r.yaml", overrides, REGISTRY)


def problems_of(text, *overrides, registry=REGISTRY):
    """Return what is wrong, a line each, or [] for a recipe; anything else that happens is a failure."""
    try:
        recipe = parse_recipe(text, "r.yaml", overrides, registry)
    except RecipeError as error:
        assert error.problems  # noqa: PT017 - an error without a reason would pass for a recipe
        assert str(error).splitlines() == [*error.problems]  # noqa: PT017 - a line each
        return [*error.problems]
    assert isinstance(recipe, Recipe)
    return []


def assert_told(found, expected):
    """Each problem is at its place in the file, in the same order, and contains its facts."""
    assert len(found) == len(expected), found
    for problem, (place, *facts) in zip(found, expected, strict=True):
        assert problem.startswith(f"r.yaml:{place}"), problem
        assert all(fact in problem for fact in facts), problem


def problems(*overrides, registry=REGISTRY, **lines):
    """Return what is wrong with `text_of(**lines)`."""
    return problems_of(text_of(**lines), *overrides, registry=registry)
