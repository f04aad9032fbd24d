"""Metrics between generated and held-out samples, with floors and reference values."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import NormalDist, fmean

import numpy as np
import torch
from torch import Tensor

from gentoolkit.errors import GentoolError, PluginError
from gentoolkit.evaluation.groups import ALL, Groups, Rows
from gentoolkit.protocols import Batch, Metric
from gentoolkit.randomness import numpy_generator
from gentoolkit.records import Comparison, MetricResult

#: The columns of each kind of samples, as in `Comparison`.
SIDES = ("value", "floor", "reference")


def mean_of(comparisons: Collection[Comparison]) -> Comparison:
    """Return the mean of independent comparisons. What is unknown in one of them is unknown in the mean."""
    n, numbers = len(comparisons), dict[str, float | None]()

    def known(name: str) -> list[float] | None:
        values = [getattr(comparison, name) for comparison in comparisons]
        return None if None in values else values

    for side in SIDES:
        for name in (side, f"{side}_limit"):
            values = known(name)
            numbers[name] = None if values is None else math.fsum(values) / n
        stds, lows, value = known(f"{side}_std"), known(f"{side}_low"), known(side)
        numbers[f"{side}_std"] = None if stds is None else math.hypot(*stds) / n
        if value is not None and lows is not None:
            half = math.hypot(*(a - b for a, b in zip(value, lows, strict=True))) / n
            numbers |= _interval(side, math.fsum(value) / n, half)
    return Comparison(**numbers)


def _interval(side: str, value: float, half: float) -> dict[str, float | None]:
    return {f"{side}_low": value - half, f"{side}_high": value + half}


def student_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t distribution, to 1 % for at least 3 degrees of freedom.

    Abramowitz and Stegun 1964, "Handbook of Mathematical Functions", Eq. 26.7.5.
    """
    z = NormalDist().inv_cdf(0.975)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def evaluate(
    metrics: Mapping[str, Metric],
    groups: Groups,
    real: Batch,
    generated: Tensor,
    floor: Batch,
    reference: Tensor | None = None,
    *,
    resamples: int = 0,
    seed: int = 0,
    batch_size: int = 256,
) -> tuple[MetricResult, ...]:
    """Evaluate each metric between generated and real samples, and between two sets of real samples.

    The standard deviation of a value is estimated from `resamples` random halves of both sets, drawn without
    replacement. The mean of a half of n samples varies around the mean of the whole with 1 / (n / 2) - 1 / n = 1 / n of
    a sample's variance, which is how a set of n varies around the true mean. The standard deviation over the halves is
    therefore that of the value (the delete-d jackknife, Shao and Wu 1989, doi:10.1214/aos/1176347263). Pooled samples
    are halved class by class. A bootstrap would draw with replacement, but repeated samples change the distance between
    two sets. The values of the halves are biased because they use fewer samples; only their spread is used, except for
    the extrapolation of metrics that declare a `bias_order`. If a distance is mostly chance, as the floor is, the
    estimate is up to a quarter too large. With 12 halves, its own relative uncertainty is a fifth, so the interval is
    Student's. It covers the mean value of sets of this size, which for a biased metric differs from the limit.

    Args:
        metrics: Name -> metric.
        groups: The samples to compare.
        real: The held-out samples of `groups.real`, (N, *S).
        generated: The generated samples with the same conditions, (N, *S), on any device.
        floor: The held-out samples of `groups.floor`, (N, *S).
        reference: The samples of the reference field, (N, *S), if there is one; also with the conditions of `real`.
        resamples: Number of halves. With fewer than two, or with fewer than 4 samples, there is no standard deviation;
            with fewer than four, there is no interval.
        seed: Seed for choosing the halves.
        batch_size: Number of samples that a metric prepares at once. Changes the result only by rounding.

    Returns:
        One result per metric, in the order of `metrics`.

    Raises:
        GentoolError: The sets have different sizes, or a metric can't be computed for all samples together.
    """
    sets = {"real": real, "value": Batch(generated, real.condition), "floor": floor}
    sets |= {} if reference is None else {"reference": Batch(reference, real.condition)}
    if any(len(batch) != len(real) for batch in sets.values()):
        counts = ", ".join(f"{name} {len(batch)}" for name, batch in sets.items())
        raise GentoolError(f"all sets must have equally many samples; got {counts}")
    # Split once, so that features which metrics share are computed once for each part.
    parts = {name: in_parts(batch, batch_size) for name, batch in sets.items()}

    def result(name: str, metric: Metric) -> MetricResult:
        rows = {side: prepared(metric, some) for side, some in parts.items()}
        compared = _Compared(metric, rows, resamples, seed)
        classes, refused = dict[str, Comparison](), dict[str, str]()
        try:
            pooled = compared(groups.pooled)
        except ValueError as fault:
            raise GentoolError(f"metric {name!r}, class {ALL}: {fault}") from fault
        for group, positions in groups.per_class.items():
            try:
                classes[group] = compared((positions,))
            except ValueError as fault:
                refused[group] = str(fault)
        mean = mean_of(classes.values()) if classes else pooled
        return MetricResult(
            **dict(mean), name=name, optimum=metric.optimum, pooled=pooled, per_class=classes, refused=refused
        )

    return tuple(result(name, metric) for name, metric in metrics.items())


def in_parts(batch: Batch, size: int) -> list[Batch]:
    """Return a batch as parts of at most `size` samples, on the CPU."""
    whole = batch.map(lambda part: part.detach().cpu())
    return [whole.map(lambda part, k=k: part[k : k + size]) for k in range(0, len(whole), size)]  # type: ignore[misc]


def prepared(metric: Metric, parts: Sequence[Batch]) -> Tensor:
    """Return the rows of all samples, (N, *R), from parts of them.

    Raises:
        PluginError: `prepare` does not return one row for each sample.
    """
    rows = [metric.prepare(part.x1, part.condition) for part in parts]
    for found, part in zip(rows, parts, strict=True):
        if not isinstance(found, Tensor) or found.shape[:1] != (len(part),):
            got = tuple(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise PluginError(
                f"prepare(...) of {len(part)} samples returned {got}, expected as many rows", kind="metric"
            )
    return torch.cat(rows)


class _Compared:
    """Compares groups of samples by one metric.

    Args:
        metric: The metric.
        rows: The rows of the real samples, and of each of SIDES that there is.
        resamples: Number of halves.
        seed: Seed for choosing the halves.
    """

    def __init__(self, metric: Metric, rows: Mapping[str, Tensor], resamples: int, seed: int) -> None:
        self.metric, self.rows, self.resamples, self.seed = metric, rows, resamples, seed

    def __call__(self, classes: tuple[Rows, ...]) -> Comparison:
        """Return the values for a group that consists of these classes. ValueError: they have too few samples."""
        whole = np.concatenate(classes)
        halves = list(_halves(classes, self.resamples, self.seed))
        numbers = dict[str, float | None]()
        for side in SIDES:
            if side in self.rows:
                numbers[side] = value = self._value(side, whole, whole)
                values = [self._value_of_half(side, *half) for half in halves]
                if len(values) > 1 and all(map(math.isfinite, values)):
                    numbers |= self._accuracy(side, value, values)
            else:
                numbers[side] = None
        return Comparison(**numbers)

    def _accuracy(self, side: str, value: float, halves: list[float]) -> dict[str, float | None]:
        """Return standard deviation, interval and limit of a value, given those of halves."""
        std = float(np.std(halves, ddof=1))
        numbers: dict[str, float | None] = {f"{side}_std": std}
        if len(halves) > 3:
            numbers |= _interval(side, value, student_quantile(len(halves) - 1) * std)
        if order := getattr(self.metric, "bias_order", None):
            # value(n) = limit + c n^-p for n samples, and for n / 2 it is limit + 2^p c n^-p.
            numbers[f"{side}_limit"] = value - (fmean(halves) - value) / (2**order - 1)
        return numbers

    def _value(self, side: str, real: Rows, other: Rows) -> float:
        return float(self.metric.value(self.rows["real"][real], self.rows[side][other]))

    def _value_of_half(self, side: str, real: Rows, other: Rows) -> float:
        try:
            return self._value(side, real, other)
        except Exception:  # half of the samples may be too few for the metric
            return math.nan


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
