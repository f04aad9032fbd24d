"""Metrics between generated and held-out samples, with floors and reference values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from gentoolkit.errors import GentoolError
from gentoolkit.evaluation.groups import ALL, Groups, Rows
from gentoolkit.protocols import Metric
from gentoolkit.randomness import numpy_generator


class Estimate(NamedTuple):
    """A number from finitely many samples.

    Attributes:
        value: The estimate.
        std: Approximate standard deviation of the value from one set of samples to another of the same size (see
            `evaluate`). None if it is not known.
    """

    value: float
    std: float | None = None


class Comparison(NamedTuple):
    """Values of a metric, each between real samples and another set of samples.

    Attributes:
        value: The metric for the generated samples.
        floor: The metric for other real samples.
        reference: The metric for samples of the reference field, drawn from the same noise as the generated samples.
            None without a reference field.
    """

    value: Estimate
    floor: Estimate
    reference: Estimate | None = None

    def to_dict(self) -> dict[str, float | None]:
        """Return plain JSON data: each value, and its standard deviation as `..._std`; None for non-finite numbers."""
        numbers: dict[str, float | None] = {}
        for name, estimate in self._asdict().items():
            value, std = estimate or (None, None)
            numbers |= {name: finite(value), f"{name}_std": finite(std)}
        return numbers


@dataclass(frozen=True)
class MetricResult:
    """The results of one metric.

    Attributes:
        name: The metric's name.
        optimum: The value for equal distributions in the limit of many samples.
        pooled: The comparison for samples of all classes, in the proportions of the data.
        per_class: Label as text -> the comparison for the samples of that class. Empty for data without labels.
    """

    name: str
    optimum: float
    pooled: Comparison
    per_class: Mapping[str, Comparison]

    @property
    def mean(self) -> Comparison:
        """The mean over the classes, or `pooled` for data without labels."""
        if not self.per_class:
            return self.pooled
        classes = self.per_class.values()
        references = [c.reference for c in classes if c.reference is not None]
        return Comparison(
            _mean([c.value for c in classes]),
            _mean([c.floor for c in classes]),
            _mean(references) if references else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data: the mean, the pooled and the per-class comparisons; see `Comparison.to_dict`."""
        return {
            "name": self.name,
            "optimum": self.optimum,
            **self.mean.to_dict(),
            "pooled": self.pooled.to_dict(),
            "per_class": {name: comparison.to_dict() for name, comparison in self.per_class.items()},
        }


def _mean(estimates: list[Estimate]) -> Estimate:
    """Return the mean of independent estimates."""
    n, stds = len(estimates), [e.std for e in estimates if e.std is not None]
    return Estimate(math.fsum(e.value for e in estimates) / n, math.hypot(*stds) / n if len(stds) == n else None)


def finite(number: float | None) -> float | None:
    """Return the number, or None if it is not finite, since JSON cannot represent it."""
    return number if number is not None and math.isfinite(number) else None


def evaluate(
    metrics: Mapping[str, Callable[[], Metric]],
    groups: Groups,
    real: Tensor,
    generated: Tensor,
    floor: Tensor,
    reference: Tensor | None = None,
    *,
    resamples: int = 0,
    seed: int = 0,
) -> tuple[MetricResult, ...]:
    """Evaluate each metric between generated and real samples, and between two sets of real samples.

    The standard deviation of a value is estimated from `resamples` random halves of both sets, drawn without
    replacement. The mean of a half of n samples varies around the mean of the whole with 1 / (n / 2) - 1 / n = 1 / n of
    a sample's variance, which is how a set of n varies around the true mean. The standard deviation over the halves is
    therefore that of the value (the delete-d jackknife, Shao and Wu 1989, doi:10.1214/aos/1176347263). Pooled samples
    are halved class by class. A bootstrap would draw with replacement, but repeated samples change the distance between
    two sets. The values of the halves are biased because they use fewer samples; only their spread is used. If a
    distance is mostly chance, as the floor is, the estimate is up to a quarter too large. With 12 halves, its own
    relative uncertainty is a fifth.

    Args:
        metrics: Name -> function that creates a metric object.
        groups: The samples to compare.
        real: The held-out samples of `groups.real`, (N, *S).
        generated: The generated samples with the same conditions, (N, *S), on any device.
        floor: The held-out samples of `groups.floor`, (N, *S).
        reference: The samples of the reference field, (N, *S), if there is one.
        resamples: Number of halves. With fewer than two, or with fewer than 4 samples, there is no standard deviation.
        seed: Seed for choosing the halves.

    Returns:
        One result per metric, in the order of `metrics`.

    Raises:
        GentoolError: The sets have different sizes, or a metric raises ValueError.
    """
    others = {"value": generated, "floor": floor} | ({} if reference is None else {"reference": reference})
    if any(len(other) != len(real) for other in others.values()):
        counts = ", ".join(f"{name} {len(other)}" for name, other in others.items())
        raise GentoolError(f"all sets must have equally many samples; got real {len(real)}, {counts}")

    real, others = real.detach().cpu(), {name: other.detach().cpu() for name, other in others.items()}

    def compare(name: str, build: Callable[[], Metric], group: str, classes: tuple[Rows, ...]) -> Comparison:
        rows = np.concatenate(classes)
        halves = list(_halves(classes, resamples, seed))

        def estimate(other: Tensor) -> Estimate:
            value = _measure(name, group, build(), real[rows], other[rows])
            values = [_measure_half(build(), real[a], other[b]) for a, b in halves]
            known = len(values) > 1 and all(map(math.isfinite, values))
            return Estimate(value, float(np.std(values, ddof=1)) if known else None)

        return Comparison(**{side: estimate(other) for side, other in others.items()})

    return tuple(
        MetricResult(
            name,
            build().optimum,
            compare(name, build, ALL, groups.pooled),
            {group: compare(name, build, group, (rows,)) for group, rows in groups.per_class.items()},
        )
        for name, build in metrics.items()
    )


def _measure(name: str, group: str, metric: Metric, real: Tensor, other: Tensor) -> float:
    try:
        metric.update(real, other)
        return metric.compute()
    except ValueError as fault:
        raise GentoolError(f"metric {name!r}, class {group}: {fault}") from fault


def _halves(classes: tuple[Rows, ...], count: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield pairs of random halves of each class, for the real and the other samples: independent, of equal size.

    Odd numbers are rounded up or down at random.
    """
    for number in range(count if sum(map(len, classes)) >= 4 else 0):
        draw = numpy_generator(seed, "half samples", number)
        sizes = [(len(rows) + draw.integers(2)) // 2 for rows in classes]
        first, second = (
            np.concatenate([draw.permutation(rows)[:size] for rows, size in zip(classes, sizes, strict=True)])
            for _ in range(2)
        )
        yield first, second


def _measure_half(metric: Metric, real: Tensor, other: Tensor) -> float:
    try:
        metric.update(real, other)
        return metric.compute()
    except Exception:  # half of the samples may be too few for the metric
        return math.nan
