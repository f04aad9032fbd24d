"""Contracts for metrics: numbers that compare generated with real samples."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from gentoolkit.protocols import Metric
from gentoolkit.testing.contracts import Case, contract, does_not_apply, require

#: Number of real and of generated samples.
MANY = 256
#: Differences of growing size, by kind of difference and direction: lists of (factor, shift) of the generated samples.
DIFFERENCES = {
    "shift": {"up": [(1.0, 0.0), (1.0, 0.5), (1.0, 1.0), (1.0, 2.0)], "down": [(1.0, 0.0), (1.0, -0.5), (1.0, -2.0)]},
    "scale": {"up": [(1.0, 0.0), (1.5, 0.0), (3.0, 0.0)], "down": [(1.0, 0.0), (0.6, 0.0), (0.2, 0.0)]},
}
#: Tolerance for rounding in float32 sums of some thousand terms: well above sqrt(thousands) · 6e-8.
ROUNDING = 1e-4


def _pair(case: Case, count: int = MANY, draw: int = 0) -> tuple[Tensor, Tensor]:
    """Return standard normal real and generated samples, (count, *S) each."""
    real, generated = (case.normal(count, *case.spec.shape, draw=2 * draw + side) for side in range(2))
    return real, generated


def _value(case: Case, real: Tensor, generated: Tensor) -> float:
    metric: Metric = case.build()
    metric.update(real, generated)
    return metric.compute()


def _changed(samples: Tensor, factor: float, shift: float) -> Tensor:
    """Return the samples with the deviation from the mean multiplied by `factor` and the mean shifted by `shift`."""
    mean = samples.mean(0)
    return mean + factor * (samples - mean) + shift


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=ROUNDING, abs_tol=ROUNDING)


def observe(case: Case, metric: Metric) -> dict[str, Tensor]:
    """Return what must be equal for two equal metrics."""
    metric.update(*_pair(case))
    return {"value": torch.tensor(metric.compute()), "optimum": torch.tensor(metric.optimum)}


@contract("metric.optimum")
def optimum(case: Case) -> None:
    """For two equal distributions, the value is within `spread(n, dims)` of `optimum`, and the spread falls with n.

    Power: a value beyond the spread in any of four pairs of 64 and of 1,024 standard normal samples. `metric.monotone`
    finds a spread that is so wide that it hides a shift of two standard deviations.
    """
    metric: Metric = case.build()
    dims = math.prod(case.spec.shape)
    for count in (64, 1024):
        spread = metric.spread(count, dims)
        require(0 < spread < math.inf, f"spread({count}, {dims}) is {spread}; expected a positive number")
        for draw in range(4):
            value = _value(case, *_pair(case, count, draw))
            require(
                abs(value - metric.optimum) <= spread,
                f"the value for {count} real and {count} generated samples of one distribution is {value:.4g}; "
                f"declared: {metric.optimum} within {spread:.4g}",
            )
    few, many = metric.spread(64, dims), metric.spread(1024, dims)
    require(many < few, f"the spread is {few:.4g} for 64 samples and {many:.4g} for 1024; expected it to decrease")


@contract("metric.permutation")
def permutation(case: Case) -> None:
    """The order of the samples does not matter, and "permutation" is among `invariances`.

    Power: a relative change of the value by 1e-4.
    """
    metric: Metric = case.build()
    declared = sorted(metric.invariances)
    require("permutation" in declared, f"invariances is {declared}; expected it to include 'permutation'")
    real, generated = _pair(case)
    generated = 1.5 * generated + 0.5
    value, shuffled = _value(case, real, generated), _value(case, real.flip(0), generated.roll(7, 0))
    found = f"the value changes from {value:.6g} to {shuffled:.6g} with the order of the samples"
    require(_close(value, shuffled), found)


@contract("metric.monotone")
def monotone(case: Case) -> None:
    """For each kind of difference in `sees`, the value moves further from the optimum as the difference grows.

    "shift" moves the mean of the generated samples up or down; "scale" multiplies their deviation from the mean. For
    the largest difference (two standard deviations; a factor of 3 or 0.2) the value must be outside `spread`.

    Power: a distance from the optimum that does not grow between two of the differences (shifts by 0.5, 1 and 2
    standard deviations; factors 1.5 and 3, 0.6 and 0.2).
    """
    metric: Metric = case.build()
    require(
        bool(metric.sees) and metric.sees <= {*DIFFERENCES}, f"sees is {sorted(metric.sees)}; expected shift or scale"
    )
    real, generated = _pair(case)
    for name in sorted(metric.sees):
        for direction, steps in DIFFERENCES[name].items():
            away = [abs(_value(case, real, _changed(generated, *step)) - metric.optimum) for step in steps]
            table = ", ".join(f"{value:.4g}" for value in away)
            grows = all(a < b for a, b in pairwise(away))
            require(grows, f"{name} {direction}: the distances from the optimum are {table}; expected an increase")
            spread = metric.spread(MANY, math.prod(case.spec.shape))
            require(
                away[-1] > spread, f"{name} {direction}: the distance {away[-1]:.4g} is within the spread {spread:.4g}"
            )


@contract("metric.elements")
def elements(case: Case) -> None:
    """Every element of a sample counts: a difference in `sees` changes the value even if it is in a single element.

    The element of the generated samples is shifted by four standard deviations up and down, or scaled by 4 and 0.1. The
    value must move away from the optimum by more than 1e-4.

    Power: an element that is ignored, or whose weight is so low that the value moves by less than 1e-4.
    """
    metric: Metric = case.build()
    real, generated = _pair(case)
    alike = abs(_value(case, real, generated) - metric.optimum)
    steps = {"shift": [(1.0, 4.0), (1.0, -4.0)], "scale": [(4.0, 0.0), (0.1, 0.0)]}
    for name in sorted(metric.sees & {*steps}):
        for element in range(generated[0].numel()):
            for step in steps[name]:
                changed = generated.flatten(1).clone()
                changed[:, element] = _changed(changed[:, element], *step)
                away = abs(_value(case, real, changed.view_as(generated)) - metric.optimum)
                found = f"a {name} of element {element} alone changes the distance from the optimum from {alike:.4g} to"
                require(away > alike + ROUNDING, f"{found} {away:.4g}; expected an increase")


@contract("metric.samples")
def samples(case: Case) -> None:
    """Every real and generated sample counts: the value changes if an eighth of either set is moved far away.

    Power: consecutive samples that make up an eighth of a set, or every eighth sample, that are ignored.
    """
    pair = _pair(case)
    value = _value(case, *pair)
    for side, name in enumerate(("real", "generated")):
        for part in range(8):
            for rows in (slice(part * MANY // 8, (part + 1) * MANY // 8), slice(part, None, 8)):
                moved = [samples.clone() for samples in pair]
                moved[side][rows] += 4
                which = f"{name} samples {rows.start}, {rows.start + (rows.step or 1)}, ..."
                found = f"the value stays at {value:.6g} when the {which} are moved by four standard deviations"
                require(not _close(_value(case, *moved), value), found)


@contract("metric.invariances")
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
    value = _value(case, real, generated)
    for name in claimed:
        for direction, steps in DIFFERENCES[name].items():
            changed = _value(case, real, _changed(generated, *steps[-1]))
            require(_close(value, changed), f"{name} {direction} changes the value from {value:.6g} to {changed:.6g}")


@contract("metric.chunked")
def chunked(case: Case) -> None:
    """The value does not depend on how samples are split into chunks: uneven, empty or with one set only.

    Power: a relative change of the value by 1e-4.
    """
    real, generated = _pair(case)
    generated = 1.5 * generated[:200] + 0.5
    metric: Metric = case.build()
    for a, b, c, d in ((0, 1, 0, 0), (1, 1, 0, 120), (1, 100, 120, 120), (100, 256, 120, 200)):
        metric.update(real[a:b], generated[c:d])
    value, whole = metric.compute(), _value(case, real, generated)
    require(_close(value, whole), f"the value is {value:.6g} for samples in chunks, but {whole:.6g} in one piece")
