"""Metrics between generated and held-out real samples, beside what else they can be compared with."""

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
        value: The number.
        std: About how much it varies from one set of as many samples to another, as a standard deviation (see
            `evaluate`); None where that is not known.
    """

    value: float
    std: float | None = None


class Comparison(NamedTuple):
    """A metric against real samples.

    Attributes:
        value: Of generated samples.
        floor: Of other real samples.
        reference: Of what the reference field draws from the noise of the generated samples; None without such a field.
    """

    value: Estimate
    floor: Estimate
    reference: Estimate | None = None

    def to_dict(self) -> dict[str, float | None]:
        """Return plain data for JSON: each number, and its standard deviation as `..._std`; None where not finite."""
        numbers: dict[str, float | None] = {}
        for name, estimate in self._asdict().items():
            value, std = estimate or (None, None)
            numbers |= {name: finite(value), f"{name}_std": finite(std)}
        return numbers


@dataclass(frozen=True)
class MetricResult:
    """What one metric says.

    Attributes:
        name: The metric's name.
        optimum: The value for equal distributions as the number of samples grows.
        pooled: Of the samples of all classes together, each class as often as in the data.
        per_class: Label as text -> the same for the samples of that class; empty for data without labels.
    """

    name: str
    optimum: float
    pooled: Comparison
    per_class: Mapping[str, Comparison]

    @property
    def mean(self) -> Comparison:
        """The mean over the classes; of data without labels, all there is."""
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
        """Return plain data for JSON: the mean, the pooled comparison, and each class's; see `Comparison.to_dict`."""
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
    """Return the number, or None where it is not finite: JSON has no word for that."""
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
    """Evaluate each metric between generated and real samples, and between two sets of real ones in the same way.

    How much a value varies is estimated from `resamples` random halves of both sets, drawn without replacement. A
    half of n samples varies around the whole by 1 / (n / 2) - 1 / n = 1 / n of a sample's variance, as much as a set
    of n varies around the truth; so the standard deviation of the values over the halves is that of the value (the
    delete-d jackknife, Shao and Wu 1989, doi:10.1214/aos/1176347263). Pooled samples are halved class by class. A
    bootstrap draws with replacement, and its repeated samples change what a distance between two sets measures; here
    only the spread of the values is used, and the shift that fewer samples bring is left out. Where a distance is
    mostly chance, as the floor is, the estimate is up to a quarter too large. With 12 halves it is itself uncertain
    by a fifth.

    Args:
        metrics: Name -> a builder of fresh metric objects.
        groups: Which samples are compared with which.
        real: The held-out samples of `groups.real`, (N, *S).
        generated: As many generated samples with the same conditions, on any device.
        floor: The held-out samples of `groups.floor`.
        reference: As many samples of the reference field, where there is one.
        resamples: Halves to draw; with fewer than two, or of fewer than 4 samples, no standard deviation is given.
        seed: What the halves are keyed by.

    Returns:
        One result per metric, in the order of `metrics`.

    Raises:
        GentoolError: The sets are not equally large, or a metric refuses them.
    """
    others = {"value": generated, "floor": floor} | ({} if reference is None else {"reference": reference})
    if any(len(other) != len(real) for other in others.values()):
        counts = ", ".join(f"{name} {len(other)}" for name, other in others.items())
        raise GentoolError(f"value and floor compare only for equally many samples; got real {len(real)}, {counts}")

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
    """Return random halves of each class for the real side and for the other, independent but equally large.

    Of an odd number the middle one is taken every other time.
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
    except Exception:  # it takes the whole sets, but half of them are too few for it
        return math.nan
