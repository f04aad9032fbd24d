"""Contracts for metrics: numbers that compare generated with real samples."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from gentoolkit.protocols import Batch, Metric
from gentoolkit.testing.contracts import Case, contract, does_not_apply, require
from gentoolkit.testing.features import TRAIN_COUNT, Split, labeled
from gentoolkit.testing.measures import global_randomness_kept, largest_difference

#: Number of real and of generated samples.
MANY = 256
#: Differences of growing size, by kind of difference and direction: lists of (factor, shift) of the generated samples.
DIFFERENCES = {
    "shift": {"up": [(1.0, 0.5), (1.0, 1.0), (1.0, 2.0)], "down": [(1.0, -0.5), (1.0, -2.0)]},
    "scale": {"up": [(1.5, 0.0), (3.0, 0.0)], "down": [(0.6, 0.0), (0.2, 0.0)]},
}
#: Tolerance for rounding in float32 sums of some thousand terms: well above sqrt(thousands) · 6e-8.
ROUNDING = 1e-4


def _samples(case: Case, count: int, draw: int) -> Batch:
    """Return standard normal samples; for metrics that judge samples by their class, such around the class's mean."""
    if "absolute" in case.traits:
        return labeled(case, count, draw)
    return Batch(case.normal(count, *case.spec.shape, draw=draw), case.conditions(count))


def arguments(case: Case) -> dict[str, Any]:
    """Return a training split for the factory, of the distribution of the real samples."""
    return {"train": Split(_samples(case, TRAIN_COUNT, 70))}


def _pair(case: Case, count: int = MANY, draw: int = 0) -> tuple[Tensor, Tensor]:
    """Return real and generated samples of one distribution, (count, *S) each."""
    real, generated = (_samples(case, count, 2 * draw + side).x1 for side in range(2))
    return real, generated


def _value(case: Case, metric: Metric, real: Tensor, generated: Tensor) -> float:
    rows = [metric.prepare(samples, case.conditions(len(samples))) for samples in (real, generated)]
    return metric.value(*rows)


def _changed(samples: Tensor, factor: float, shift: float) -> Tensor:
    """Return the samples with the deviation from the mean multiplied by `factor` and the mean shifted by `shift`."""
    mean = samples.mean(0)
    return mean + factor * (samples - mean) + shift


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=ROUNDING, abs_tol=ROUNDING)


def observe(case: Case, metric: Metric) -> dict[str, Tensor]:
    """Return what must be equal for two equal metrics."""
    return {"value": torch.tensor(_value(case, metric, *_pair(case))), "optimum": torch.tensor(metric.optimum)}


@contract("metric.optimum", skips={"absolute"})
def optimum(case: Case) -> None:
    """For two equal distributions, the value approaches `optimum` as the number of samples grows.

    Its mean distance from `optimum` must be smaller by a quarter in four pairs of 1,024 standard normal samples than in
    eight pairs of 64. A distance that falls as n^-1/2 is smaller by three quarters; one that falls as n^-1/4, by half.

    Power: an optimum that is wrong by three times the mean distance for 64 samples.
    """
    metric: Metric = case.build()

    def away(count: int, pairs: int) -> float:
        return fmean(abs(_value(case, metric, *_pair(case, count, k)) - metric.optimum) for k in range(pairs))

    few, many = away(64, 8), away(1024, 4)
    found = f"the mean distance from the optimum {metric.optimum:g} is {few:.4g} for 64 samples and {many:.4g} for 1024"
    require(many <= 0.75 * few, f"{found}, although the distributions are equal; expected at most 3/4 of it")


@contract("metric.permutation")
def permutation(case: Case) -> None:
    """The order of the samples does not matter, and "permutation" is among `invariances`.

    Power: a relative change of the value by 1e-4.
    """
    metric: Metric = case.build()
    declared = sorted(metric.invariances)
    require("permutation" in declared, f"invariances is {declared}; expected it to include 'permutation'")
    first, second = (_samples(case, MANY, draw) for draw in range(2))
    real, generated = metric.prepare(first.x1, first.condition), metric.prepare(1.5 * second.x1 + 0.5, second.condition)
    value, shuffled = metric.value(real, generated), metric.value(real.flip(0), generated.roll(7, 0))
    found = f"the value changes from {value:.6g} to {shuffled:.6g} with the order of the samples"
    require(_close(value, shuffled), found)


@contract("metric.monotone", skips={"absolute"})
def monotone(case: Case) -> None:
    """For each kind of difference in `sees`, the value moves further from the optimum as the difference grows.

    "shift" moves the mean of the generated samples up or down; "scale" multiplies their deviation from the mean. For
    the largest difference (two standard deviations; a factor of 3 or 0.2) the value must be further from the optimum
    than for four pairs of sets without any difference.

    Power: a distance from the optimum that does not grow between two of the differences (shifts by 0.5, 1 and 2
    standard deviations; factors 1.5 and 3, 0.6 and 0.2).
    """
    metric: Metric = case.build()
    require(
        bool(metric.sees) and metric.sees <= {*DIFFERENCES}, f"sees is {sorted(metric.sees)}; expected shift or scale"
    )
    real, generated = _pair(case)
    chance = max(abs(_value(case, metric, *_pair(case, MANY, k)) - metric.optimum) for k in range(4))
    for name in sorted(metric.sees):
        for direction, steps in DIFFERENCES[name].items():
            away = [abs(_value(case, metric, real, _changed(generated, *step)) - metric.optimum) for step in steps]
            table = ", ".join(f"{value:.4g}" for value in away)
            grows = all(a < b for a, b in pairwise(away))
            require(grows, f"{name} {direction}: the distances from the optimum are {table}; expected an increase")
            found = f"{name} {direction}: the distance {away[-1]:.4g} is not above {chance:.4g}, that of equal sets"
            require(away[-1] > chance, found)


@contract("metric.elements", skips={"absolute"})
def elements(case: Case) -> None:
    """Every element of a sample counts: a difference in `sees` changes the value even if it is in a single element.

    The element of the generated samples is shifted by four standard deviations up and down, or scaled by 4 and 0.1. The
    value must move away from the optimum by more than 1e-4.

    Power: an element that is ignored, or whose weight is so low that the value moves by less than 1e-4.
    """
    metric: Metric = case.build()
    real, generated = _pair(case)
    alike = abs(_value(case, metric, real, generated) - metric.optimum)
    steps = {"shift": [(1.0, 4.0), (1.0, -4.0)], "scale": [(4.0, 0.0), (0.1, 0.0)]}
    for name in sorted(metric.sees & {*steps}):
        for element in range(generated[0].numel()):
            for step in steps[name]:
                changed = generated.flatten(1).clone()
                changed[:, element] = _changed(changed[:, element], *step)
                away = abs(_value(case, metric, real, changed.view_as(generated)) - metric.optimum)
                found = f"a {name} of element {element} alone changes the distance from the optimum from {alike:.4g} to"
                require(away > alike + ROUNDING, f"{found} {away:.4g}; expected an increase")


@contract("metric.samples")
def samples(case: Case) -> None:
    """Every real and generated sample counts: the value changes if an eighth of either set is moved far away.

    It is moved up by 4 standard deviations, down by 4, and up by 40; one of these has to change the value, since a
    share of the samples may stay the same by chance. For metrics with the trait "absolute", only the
    generated samples count.

    Power: consecutive samples that make up an eighth of a set, or every eighth sample, that are ignored.
    """
    metric: Metric = case.build()
    real, generated = _pair(case)
    pair = real, generated + 1  # a share of the samples is less likely to stay the same if they differ
    value = _value(case, metric, *pair)
    for side, name in list(enumerate(("real", "generated")))["absolute" in case.traits :]:
        for part in range(8):
            for rows in (slice(part * MANY // 8, (part + 1) * MANY // 8), slice(part, None, 8)):
                which = f"{name} samples {rows.start}, {rows.start + (rows.step or 1)}, ..."
                found = f"the value stays at {value:.6g} when the {which} are moved far away"
                others = (_value(case, metric, *_moved(pair, side, rows, shift)) for shift in (4, -4, 40))
                require(not all(_close(other, value) for other in others), found)


def _moved(pair: tuple[Tensor, Tensor], side: int, rows: slice, shift: float) -> list[Tensor]:
    moved = [samples.clone() for samples in pair]
    moved[side][rows] += shift
    return moved


@contract("metric.invariances", skips={"absolute"})
def invariances(case: Case) -> None:
    """A "shift" or "scale" in `invariances` does not change the value, and is not in `sees`.

    Power: a relative change of the value by 1e-4, for the largest differences of `metric.monotone`.
    """
    metric: Metric = case.build()
    known = {"permutation", *DIFFERENCES}
    unknown = sorted(metric.invariances - known)
    require(not unknown, f"invariances {unknown} are unknown; expected some of {sorted(known)}")
    both = sorted(metric.invariances & metric.sees)
    require(not both, f"{both} are in both `sees` and `invariances`")
    claimed = sorted(metric.invariances - {"permutation"})
    if not claimed:
        does_not_apply("the metric declares no invariance except under permutation")
    real, generated = _pair(case)
    value = _value(case, metric, real, generated)
    for name in claimed:
        for direction, steps in DIFFERENCES[name].items():
            changed = _value(case, metric, real, _changed(generated, *steps[-1]))
            require(_close(value, changed), f"{name} {direction} changes the value from {value:.6g} to {changed:.6g}")


@contract("metric.absolute", needs={"absolute"})
def absolute(case: Case) -> None:
    """The value of a metric with the trait "absolute" does not depend on the real samples.

    Power: any bit of the value for 256 real samples that are shifted by four standard deviations.
    """
    metric: Metric = case.build()
    real, generated = _pair(case)
    value, other = _value(case, metric, real, generated), _value(case, metric, real + 4, generated)
    require(value == other, f"the value changes from {value:.6g} to {other:.6g} with the real samples")


@contract("metric.rows")
def rows(case: Case) -> None:
    """A row depends only on its own sample, and the value only on the rows: no generator is used, no input modified.

    Power: a relative difference of 1e-3 in 64 rows, in parts of 7; any bit of a value that is computed again; any draw
    from the global generators of torch, numpy and Python; any changed element of samples or rows.
    """
    metric: Metric = case.build()
    first, second = (_samples(case, 64, draw) for draw in range(2))
    given, before = (first.x1, second.x1), (first.x1.clone(), second.x1.clone())
    with global_randomness_kept():
        real, other = (metric.prepare(batch.x1, batch.condition) for batch in (first, second))
        parts = [first.map(lambda part, k=k: part[k : k + 7]) for k in range(0, 64, 7)]  # type: ignore[misc]
        apart = torch.cat([metric.prepare(part.x1, part.condition) for part in parts])
        kept = real.clone(), other.clone()
        value, again = metric.value(real, other), metric.value(real, other)
    require(all(map(torch.equal, given, before)), "prepare modifies its input")
    require(all(map(torch.equal, (real, other), kept)), "value modifies its input")
    require(len(real) == 64, f"prepare returns {len(real)} rows for 64 samples")
    difference = largest_difference(apart, real)
    require(difference <= ROUNDING, f"rows differ by {difference:.1e} when samples are prepared in parts of 7")
    require(value == again or math.isnan(value), f"the value is {value!r}, and {again!r} when it is computed again")
