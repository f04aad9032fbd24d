"""What a run records in `metrics.jsonl`, typed: one record per line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gentoolkit.safefiles import parse_json

Index = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(allow_inf_nan=False, ge=0)]


def finite(number: Any) -> Any:
    """Return None for an infinite or NaN float, since JSON cannot represent it, and anything else unchanged."""
    return None if isinstance(number, float) and not math.isfinite(number) else number


#: A number; None stands for one that is not finite.
Number = Annotated[float | None, BeforeValidator(finite)]


class _Values(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


class Loss(_Values):
    """A mean squared velocity error per dimension."""

    loss: Number
    loss_by_t: tuple[Number, ...] = Field(strict=False)
    """The same in equal bins of t in [0, 1]. None also for bins without samples."""


class ReferenceLoss(Loss):
    """The loss of a reference field on the same samples, times and noise."""

    name: str
    explanation: str
    excess: Number
    """The loss of the model minus that of the reference field."""
    excess_error: Number
    """The standard error of the excess."""


class ModelLoss(Loss):
    """The validation loss of the model."""

    path: str
    """The name of the path. Losses on different paths are not comparable, since the velocities differ."""
    samples: Index
    reference: ReferenceLoss | None


class Comparison(_Values):
    """Values of a metric, each between real samples and another set of samples.

    `..._std` is the approximate standard deviation from one set of samples to another of the same size, `..._low` and
    `..._high` are the ends of a 95 % confidence interval for the mean value of such sets, and `..._limit` is the value
    extrapolated to infinitely many samples, for metrics whose bias is known well enough.
    """

    value: Number
    """For the generated samples."""
    value_std: Number = None
    value_low: Number = None
    value_high: Number = None
    value_limit: Number = None
    floor: Number
    """For other real samples."""
    floor_std: Number = None
    floor_low: Number = None
    floor_high: Number = None
    floor_limit: Number = None
    reference: Number
    """For samples of the reference field, drawn from the same noise as the generated samples."""
    reference_std: Number = None
    reference_low: Number = None
    reference_high: Number = None
    reference_limit: Number = None


class FeaturesUsed(_Values):
    """The features by which a metric compared samples."""

    config: dict[str, Any]
    """The component, as in a recipe."""
    package: str
    """The package that it comes from, with the version."""
    sha256: str
    """The hash of the package, the config, and everything that the features have learned or loaded."""
    preprocessing: str


class Conditions(_Values):
    """What an evaluation depends on apart from the weights. On the same machine, equal conditions give equal bits."""

    seed: Index
    sample_seed: Index
    sampler: dict[str, Any]
    nfe: Index | None
    """Evaluations of the field per sample, if fixed. With guidance, each needs several of the network."""
    guidance: tuple[dict[str, Any], ...] = Field(strict=False)
    sample_precision: str
    batch_size: Index
    evaluate: dict[str, Any]
    """The section `evaluate` of the recipe: the numbers of samples, and of the halves for the standard deviation."""
    versions: dict[str, str]
    """Version of Python and of each package that computes or provides a component."""
    hardware: dict[str, Any]
    """Platform, processor, cores, threads and device."""


class MetricResult(Comparison):
    """The results of one metric: the mean over the classes, or the pooled values for data without labels."""

    name: str
    optimum: float
    """The value for equal distributions in the limit of many samples."""
    pooled: Comparison
    """For samples of all classes, in the proportions of the data."""
    per_class: dict[str, Comparison]
    """Label as text -> the comparison for that class. Empty for data without labels."""
    refused: dict[str, str] = {}
    """Label as text -> why the metric can't be computed for that class."""
    explanation: str = ""
    config: dict[str, Any] = {}
    """The component, as in a recipe."""
    features: FeaturesUsed | None = None


class ReferenceField(_Values):
    """The reference field that the metrics compare with."""

    name: str
    explanation: str


class Record(_Values):
    """A record. It may have more fields than its class declares."""

    event: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return self.model_dump(mode="json")

    def content(self, without: Set[str] = frozenset()) -> dict[str, Any]:
        """Return plain JSON data without the event and the given fields."""
        return self.model_dump(mode="json", exclude={"event", *without})


class Step(Record):
    """The training losses of a step, with the learning rates as `learning_rate`, `learning_rate_1`, ..."""

    event: Literal["step"] = "step"
    step: Index
    loss: Number
    velocity_error: Number = None
    gradient_norm: Number = None
    path: str = ""


class Epoch(Record):
    """The mean losses of an epoch, which may be incomplete."""

    event: Literal["epoch"] = "epoch"
    epoch: Index
    step: Index
    loss: Number = None
    velocity_error_by_t: tuple[Number, ...] = Field(default=(), strict=False)
    path: str = ""


class Validation(Loss, Record):
    """The validation loss during training."""

    event: Literal["validation"] = "validation"
    step: Index
    path: str


class Evaluation(Record):
    """The evaluation of a trained model."""

    event: Literal["evaluation"] = "evaluation"
    step: Index
    validation: ModelLoss
    reference: ReferenceField | None
    metrics: tuple[MetricResult, ...] = Field(strict=False)
    samples: Index
    """Number of pooled samples."""
    samples_per_class: Index | None
    left_out: dict[str, Index]
    """Label as text -> number of held-out samples, for classes with too few for the per-class metrics."""
    network_evaluations: float = 0.0
    """Evaluations of the network per generated sample."""
    sample_precision: str = ""
    conditions: Conditions | None = None

    def differences(self, other: Evaluation) -> list[str]:
        """Return what differs from another evaluation, in words: conditions, losses, metrics. Empty if no bit does."""
        found: list[str] = []
        mine, others = (each.conditions.model_dump() if each.conditions else {} for each in (self, other))
        for name in sorted({*mine, *others}):
            if mine.get(name) != others.get(name):
                found.append(f"{name}: {others.get(name)} became {mine.get(name)}")
        if self.step != other.step:
            found.append(f"step: {other.step} became {self.step}")
        if self.validation != other.validation:
            found.append("the validation loss")
        before = {metric.name: metric for metric in other.metrics}
        changed = [metric.name for metric in self.metrics if metric != before.pop(metric.name, None)]
        return found + changed + sorted(before)


class Resumed(Record):
    """A run was resumed, with the provenance of that, and the changes since the checkpoint."""

    event: Literal["resumed"] = "resumed"
    step: Index


class MetricsDamaged(Record):
    """Earlier records were lost."""

    event: Literal["metrics_damaged"] = "metrics_damaged"
    step: Index
    missing: tuple[Annotated[tuple[int, int], Field(strict=False)], ...] = Field(default=(), strict=False)
    """First and last step of each range of missing records."""
    unreadable: tuple[int, ...] = Field(default=(), strict=False)
    """Numbers, counted from 1, of lines that are not valid records."""


class Finished(Record):
    """A run has finished."""

    event: Literal["finished"] = "finished"
    seconds: dict[str, Seconds]
    """Stage -> wall time."""
    peak_memory_mib: float | None = None


R = TypeVar("R", bound=Record)

#: Event -> its class.
RECORDS: Mapping[str, type[Record]] = {
    kind.model_fields["event"].default: kind
    for kind in (Step, Epoch, Validation, Evaluation, Resumed, MetricsDamaged, Finished)
}


def parse_record(line: bytes) -> Record | None:
    """Return the record in a line, or None if the line is incomplete or the record is invalid."""
    try:
        values = parse_json(line)
        return RECORDS.get(values["event"], Record).model_validate(values)
    except (ValueError, KeyError, TypeError, ValidationError):
        return None


def last(records: Sequence[Record], kind: type[R]) -> R | None:
    """Return the last record of a kind, or None."""
    return next((record for record in reversed(records) if isinstance(record, kind)), None)
