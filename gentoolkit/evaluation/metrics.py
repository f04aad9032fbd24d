"""Metrics between generated and held-out samples, with floors and reference values."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np
from torch import Tensor

from gentoolkit.errors import GentoolError
from gentoolkit.evaluation.groups import ALL, Groups, Rows
from gentoolkit.protocols import Metric
from gentoolkit.randomness import numpy_generator
from gentoolkit.records import Comparison, MetricResult

#: The two columns of each kind of samples, as in `Comparison`.
SIDES = ("value", "floor", "reference")


def mean_of(comparisons: Collection[Comparison]) -> Comparison:
    """Return the mean of independent comparisons. What is unknown in one of them is unknown in the mean."""
    n, numbers = len(comparisons), dict[str, float | None]()
    for side in SIDES:
        values = [getattr(comparison, side) for comparison in comparisons]
        stds = [getattr(comparison, f"{side}_std") for comparison in comparisons]
        numbers[side] = None if None in values else math.fsum(values) / n
        numbers[f"{side}_std"] = None if None in stds else math.hypot(*stds) / n
    return Comparison(**numbers)


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

        numbers = dict[str, float | None]()
        for side in SIDES:
            numbers |= {side: None, f"{side}_std": None}
            if (other := others.get(side)) is not None:
                numbers[side] = _measure(name, group, build(), real[rows], other[rows])
                values = [_measure_half(build(), real[a], other[b]) for a, b in halves]
                known = len(values) > 1 and all(map(math.isfinite, values))
                numbers[f"{side}_std"] = float(np.std(values, ddof=1)) if known else None
        return Comparison(**numbers)

    def result(name: str, build: Callable[[], Metric]) -> MetricResult:
        pooled = compare(name, build, ALL, groups.pooled)
        classes = {group: compare(name, build, group, (rows,)) for group, rows in groups.per_class.items()}
        mean = mean_of(classes.values()) if classes else pooled
        return MetricResult(**dict(mean), name=name, optimum=build().optimum, pooled=pooled, per_class=classes)

    return tuple(result(name, build) for name, build in metrics.items())


def _measure(name: str, group: str, metric: Metric, real: Tensor, other: Tensor) -> float:
    try:
        metric.update(real, other)
        return float(metric.compute())
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
        return float(metric.compute())
    except Exception:  # half of the samples may be too few for the metric
        return math.nan
