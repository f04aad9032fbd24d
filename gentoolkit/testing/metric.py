"""The contracts of metrics: numbers that compare generated with real samples."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from gentoolkit.protocols import Metric
from gentoolkit.testing.contracts import Case, contract, does_not_apply, require

#: Samples on each side.
MANY = 256
#: Differences of growing size, by what a metric may claim to see: (name, list of (factor, shift) of generated samples).
DIFFERENCES = {
    "shift": {"up": [(1.0, 0.0), (1.0, 0.5), (1.0, 1.0), (1.0, 2.0)], "down": [(1.0, 0.0), (1.0, -0.5), (1.0, -2.0)]},
    "scale": {"up": [(1.0, 0.0), (1.5, 0.0), (3.0, 0.0)], "down": [(1.0, 0.0), (0.6, 0.0), (0.2, 0.0)]},
}
#: Values may differ by rounding in float32 sums of some thousand terms: sqrt(thousands) · 6e-8, with room.
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
    """Return the samples with their deviation from their mean times a factor, and then their mean shifted."""
    mean = samples.mean(0)
    return mean + factor * (samples - mean) + shift


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=ROUNDING, abs_tol=ROUNDING)


def observe(case: Case, metric: Metric) -> dict[str, Tensor]:
    """Return what tells two metrics apart."""
    metric.update(*_pair(case))
    return {"value": torch.tensor(metric.compute()), "optimum": torch.tensor(metric.optimum)}


@contract("metric.optimum")
def optimum(case: Case) -> None:
    """On two equal distributions the value is `optimum`, within `spread(n, dims)`, which falls as n grows.

    Power: a value beyond the spread in any of four pairs of 64 and of 1,024 standard normal samples. A spread that is
    too wide is found by `metric.monotone`, if it hides a shift of two standard deviations.
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
                f"{count} real and generated samples of one distribution give {value:.4g}; "
                f"declared: {metric.optimum} within {spread:.4g}",
            )
    few, many = metric.spread(64, dims), metric.spread(1024, dims)
    require(many < few, f"the spread is {few:.4g} for 64 samples and {many:.4g} for 1024; expected it to fall")


@contract("metric.permutation")
def permutation(case: Case) -> None:
    """The order of the samples does not matter, and "permutation" is among `invariances`.

    Power: a change of the value by 1e-4 of it.
    """
    metric: Metric = case.build()
    require("permutation" in metric.invariances, f"invariances {sorted(metric.invariances)} lack 'permutation'")
    real, generated = _pair(case)
    generated = 1.5 * generated + 0.5
    value, shuffled = _value(case, real, generated), _value(case, real.flip(0), generated.roll(7, 0))
    require(_close(value, shuffled), f"the value changes from {value:.6g} to {shuffled:.6g} with the samples' order")


@contract("metric.monotone")
def monotone(case: Case) -> None:
    """Under each difference in `sees` the value moves away from the optimum, the further the larger it is.

    "shift" moves the mean of the generated samples, "scale" multiplies their deviation from it; up and down. The
    largest difference (two standard deviations; a factor of 3 or 0.2) must lead beyond `spread`.

    Power: a value that does not grow between two of the differences (shifts by 0.5, 1 and 2 standard deviations;
    factors 1.5 and 3, 0.6 and 0.2).
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
            require(grows, f"{name} {direction}: the distances from the optimum are {table}; expected them to grow")
            spread = metric.spread(MANY, math.prod(case.spec.shape))
            require(
                away[-1] > spread, f"{name} {direction}: the distance {away[-1]:.4g} is within the spread {spread:.4g}"
            )


@contract("metric.elements")
def elements(case: Case) -> None:
    """Every element of a sample counts: a difference in `sees` moves the value if it is in one element alone.

    By a shift of four standard deviations up and down, or a factor of 4 and 0.1, of the generated samples; the value
    moves away from the optimum by more than 1e-4.

    Power: an element that is left out, or has a weight so low that this difference moves the value by less than 1e-4.
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
                told = f"{name} of element {element} alone moves the distance from the optimum from {alike:.4g} to"
                require(away > alike + ROUNDING, f"{told} {away:.4g}; expected it to grow")


@contract("metric.samples")
def samples(case: Case) -> None:
    """Every sample counts, real or generated: the value changes if an eighth of either side moves far away.

    Power: an eighth of the samples in a row, or every eighth one, that is left out on one side.
    """
    pair = _pair(case)
    value = _value(case, *pair)
    for side, name in enumerate(("real", "generated")):
        for part in range(8):
            for rows in (slice(part * MANY // 8, (part + 1) * MANY // 8), slice(part, None, 8)):
                moved = [samples.clone() for samples in pair]
                moved[side][rows] += 4
                which = f"{name} samples {rows.start}, {rows.start + (rows.step or 1)}, ..."
                told = f"the value stays {value:.6g} if the {which} move by four standard deviations"
                require(not _close(_value(case, *moved), value), told)


@contract("metric.invariances")
def invariances(case: Case) -> None:
    """What `invariances` names of "shift" and "scale" leaves the value as it is; it can't be in `sees` too.

    Power: a change of the value by 1e-4 of it, under the largest differences of `metric.monotone`.
    """
    metric: Metric = case.build()
    known = {"permutation", *DIFFERENCES}
    unknown = sorted(metric.invariances - known)
    require(not unknown, f"invariances {unknown} are unknown; expected some of {sorted(known)}")
    both = sorted(metric.invariances & metric.sees)
    require(not both, f"{both} are in `sees` and in `invariances`")
    claimed = sorted(metric.invariances - {"permutation"})
    if not claimed:
        does_not_apply("it declares no invariance but that under permutation")
    real, generated = _pair(case)
    value = _value(case, real, generated)
    for name in claimed:
        for direction, steps in DIFFERENCES[name].items():
            changed = _value(case, real, _changed(generated, *steps[-1]))
            require(_close(value, changed), f"{name} {direction} changes the value from {value:.6g} to {changed:.6g}")


@contract("metric.chunked")
def chunked(case: Case) -> None:
    """Samples given in chunks, uneven, empty or on one side alone, give the value of the whole.

    Power: a change of the value by 1e-4 of it.
    """
    real, generated = _pair(case)
    generated = 1.5 * generated[:200] + 0.5
    metric: Metric = case.build()
    for a, b, c, d in ((0, 1, 0, 0), (1, 1, 0, 120), (1, 100, 120, 120), (100, 256, 120, 200)):
        metric.update(real[a:b], generated[c:d])
    value, whole = metric.compute(), _value(case, real, generated)
    require(_close(value, whole), f"in chunks the value is {value:.6g}, in one piece {whole:.6g}")
