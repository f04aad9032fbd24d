"""Contracts for samplers: solvers of dx/dt = field(x, t, condition) from t = 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from gentoolkit.fields import Field
from gentoolkit.paths import expand
from gentoolkit.protocols import Sampler
from gentoolkit.randomness import numpy_generator
from gentoolkit.testing.contracts import Case, contract, fail, require
from gentoolkit.testing.measures import equal_or_none, global_randomness_kept, largest_difference
from gentoolkit.testing.problems import LOGISTIC, MEAN, ROTATION, SHAPE, Probe, fractions, gaussian

#: Numbers of steps in contracts that test several.
STEPS = (4, 9)
#: Largest allowed difference between the measured and the declared order.
ORDER_SLACK = 0.15
EPS = torch.finfo(torch.float64).eps
#: The most likely reason why samples of an adaptive sampler depend on each other.
ONE_STEP_SIZE = (
    "; does it choose one step size for the whole batch? Choose one for each sample (their t may then differ), "
    'or declare expected_failures={"sampler.batch_independence": "one step size for the whole batch"}'
)


def is_stochastic(case: Case) -> bool:
    """Return whether the sampler has the trait "stochastic"."""
    return "stochastic" in case.entry.component.traits


def draws(case: Case, like: Tensor, stream: int = 0) -> Callable[[float, float], Tensor]:
    """Return noise for states like `like`; different streams and intervals are independent."""

    def noise(t: float, s: float) -> Tensor:
        generator = numpy_generator(case.seed, f"contract noise {t!r} {s!r}", stream)
        return torch.as_tensor(generator.standard_normal(like.shape), dtype=like.dtype)

    return noise


def solve(case: Case, sampler: Sampler, field: Field, x0: Tensor, **options: Any) -> Tensor:
    """Sample as a run does: with conditions, and with noise for stochastic samplers."""
    noise = draws(case, x0) if is_stochastic(case) else None
    return sampler.sample(field, x0, **{"condition": case.conditions(len(x0)), "noise": noise, **options})


def _with_probes(case: Case) -> Iterator[tuple[str, Sampler, Probe]]:
    """Yield the tiny sampler, and versions of it with other numbers of steps, each after sampling with a probe."""
    tiny = case.build()
    for name, sampler in [("tiny", tiny), *((f"{n} steps", tiny.with_num_steps(n)) for n in STEPS)]:
        probe = Probe(gaussian)
        solve(case, sampler, probe.field(), fractions())
        yield name, sampler, probe


def observe(case: Case, sampler: Sampler) -> dict[str, Tensor]:
    """Return what must be equal for two equal samplers."""
    return {"samples": solve(case, sampler, Field(lambda x, t, condition: gaussian(x, t)), fractions())}


@contract("sampler.constant_field", skips=["stochastic"])
def constant_field(case: Case) -> None:
    """For a constant field c, the result is x0 + c up to rounding: the steps, and the weights of a step, sum to 1.

    Power: steps or weights that are off by 1e-13, in any element (the bound grows with the number of evaluations).
    """
    x0, c = fractions(), case.normal(*SHAPE, dtype=torch.float64)
    probe = Probe(lambda x, t: c)
    error = (solve(case, case.build(), probe.field(), x0) - (x0 + c)).abs().max().item()
    # A step rounds a few products and sums per evaluation, each to EPS of the state's size.
    bound = 8 * (len(probe.times) + 1) * EPS * (x0.abs().max() + c.abs().max()).item()
    found = f"for dx/dt = c, the result differs from x0 + c by {error:.2e} in float64"
    require(error <= bound, f"{found}; expected at most {bound:.2e}")


@contract("sampler.order", skips=["adaptive", "stochastic"])
def order(case: Case) -> None:
    """The error decreases with the number of steps n as n^-order, to within 0.15 of the declared order.

    The order is measured in float64 for dx/dt = x (1 - x) (1 + cos 3t), between the last two n = 8, 16, 32, ... 512
    whose error is above 1e-12. There, the leading error term dominates, and rounding errors, which are below
    512 * 8 * EPS = 9e-13, are negligible.

    Power: an order that is off by 0.15. Errors in terms of higher order than the leading one are not detected.
    """
    sampler, x0 = case.build(), fractions()
    exact, errors = LOGISTIC.solution(x0), []
    if sampler.order is None:
        fail("order is None; declare it, or the trait 'adaptive' or 'stochastic'")
    for n in (8, 16, 32, 64, 128, 256, 512):
        result = solve(case, sampler.with_num_steps(n), Probe(LOGISTIC.velocity).field(), x0)
        error = (result - exact).square().mean().sqrt().item()
        if not error > 1e-12:
            break
        errors.append(error)
    require(len(errors) >= 2, f"with at most 16 steps the error is {error:.1e}, which is rounding or not a number")
    measured = math.log2(errors[-2] / errors[-1])
    table = ", ".join(f"{error:.1e}" for error in errors)
    require(
        abs(measured - sampler.order) <= ORDER_SLACK,
        f"measured order {measured:.2f}, declared {sampler.order}; errors with 8, 16, ... steps: {table}",
    )


@contract("sampler.times", skips=["adaptive"])
def times(case: Case) -> None:
    """The field is evaluated exactly at `times`, in this order, all in [0, 1]; t is (B,) with equal elements.

    Power: a time that is off by 1e-12, missing, superfluous or out of order, with three numbers of steps.
    """
    for name, sampler, probe in _with_probes(case):
        shapes = {tuple(t.shape) for t in probe.times}
        require(shapes == {SHAPE[:1]}, f"{name}: t has shape {sorted(shapes)}; expected only {SHAPE[:1]}")
        require(all((t == t[0]).all() for t in probe.times), f"{name}: t differs between the samples of a batch")
        seen = [t[0].item() for t in probe.times]
        require(min(seen) >= 0 and max(seen) <= 1, f"{name}: t ranges from {min(seen)} to {max(seen)}; expected 0 to 1")
        declared = sampler.times
        if declared is None:
            fail(f"{name}: times is None; declare the times, or the trait 'adaptive'")
        # Times must be float64 for states in float64; 1e-12 allows for different ways to compute them.
        equal = len(seen) == len(declared) and all(abs(a - b) <= 1e-12 for a, b in zip(seen, declared, strict=True))
        require(equal, f"{name}: evaluated at {seen}; declared {list(declared)}")


@contract("sampler.domain")
def domain(case: Case) -> None:
    """A field with the domain [0.05, 0.9] is never evaluated outside of it, and the last state is a denoised sample.

    At t = 0.9 the state still has a tenth of the noise. With data of a single point, every denoised sample is
    this point.

    Power: any time outside the domain by 1e-12; a result that is off by 1e-6 for data with a single point.
    """
    probe = Probe(lambda x, t: (MEAN - x) / (1 - expand(t, x)))
    result = solve(case, case.build(), probe.field((0.05, 0.9)), fractions())
    seen = torch.cat(probe.times)
    low, high = seen.min().item(), seen.max().item()
    require(low >= 0.05 - 1e-12 and high <= 0.9 + 1e-12, f"t ranges from {low} to {high} for the domain [0.05, 0.9]")
    error = (result - MEAN).abs().max().item()
    require(error <= 1e-6, f"for data with a single point and the domain [0.05, 0.9], the result is off by {error:.1e}")


@contract("sampler.nfe", skips=["adaptive"])
def nfe(case: Case) -> None:
    """The field is evaluated `nfe` times.

    Power: one evaluation too many or too few, with three numbers of steps.
    """
    for name, sampler, probe in _with_probes(case):
        require(len(probe.times) == sampler.nfe, f"{name}: {len(probe.times)} evaluations; declared {sampler.nfe}")


@contract("sampler.num_steps", skips=["adaptive"])
def num_steps(case: Case) -> None:
    """`with_num_steps(n)` returns the same sampler with n steps, and does not modify the sampler that it is called on.

    Power: a wrong number of steps for n = 4 or 9; any difference of the samples.
    """
    sampler = case.build()
    before = sampler.nfe, sampler.times
    for n in STEPS:
        states: dict[float, Tensor] = {}
        field = Probe(gaussian).field()
        solve(case, sampler.with_num_steps(n), field, fractions(), on_step=states.__setitem__)
        taken = f"with_num_steps({n}) takes {len(states) - 1} steps, according to the calls of on_step"
        require(len(states) == n + 1, taken)
    first, second = (s.with_num_steps(STEPS[0]) for s in (sampler, sampler.with_num_steps(STEPS[1])))
    same = torch.equal(observe(case, first)["samples"], observe(case, second)["samples"])
    direct = f"with_num_steps({STEPS[0]})"
    require(same, f"the samples of with_num_steps({STEPS[1]}).{direct} differ from those of {direct}")
    require((sampler.nfe, sampler.times) == before, "with_num_steps modifies the sampler that it is called on")


@contract("sampler.on_step")
def on_step(case: Case) -> None:
    """`on_step` is called with x0 at t = 0.0, after each step at increasing times, and with the result at t = 1.0.

    The tensors passed to it may be kept: they do not change later. Using `on_step` does not change the result.

    Power: a time or a state that differs by any bit.
    """
    calls: list[tuple[float, Tensor, Tensor]] = []
    sampler, x0, field = case.build(), fractions(), Probe(gaussian).field()
    result = solve(case, sampler, field, x0, on_step=lambda t, x: calls.append((t, x, x.clone())))
    at = [t for t, _, _ in calls]
    growing = all(a < b for a, b in pairwise(at))
    expected = "expected increasing times from 0.0 to 1.0"
    require(at[:1] == [0.0] and at[-1:] == [1.0] and growing, f"on_step is called at t = {at}; {expected}")
    require(all(torch.equal(kept, then) for _, kept, then in calls), "a state passed to on_step is modified afterwards")
    require(torch.equal(calls[0][1], x0), "the state at t = 0.0 is not x0")
    require(torch.equal(calls[-1][1], result), "the state at t = 1.0 is not the result")
    require(torch.equal(solve(case, sampler, field, x0), result), "the result changes when on_step is used")


@contract("sampler.state")
def state(case: Case) -> None:
    """x0 is not modified, and the result is finite and has the shape and dtype of x0, float32 or float64.

    Power: any changed element of x0; any value that is not finite for Gaussian data.
    """
    for dtype in (torch.float32, torch.float64):
        x0 = fractions().to(dtype)
        given = x0.clone()
        result = solve(case, case.build(), Probe(gaussian).field(), x0)
        require(torch.equal(x0, given), f"x0 is modified, by up to {(x0 - given).abs().max():.1e}")
        got = tuple(result.shape), result.dtype
        require(got == (SHAPE, dtype), f"x0 is {SHAPE} {dtype}, but the result is {got[0]} {got[1]}")
        require(result.isfinite().all(), "the result is not finite for Gaussian data")


@contract("sampler.condition")
def condition(case: Case) -> None:
    """The condition is passed to the field unchanged, and None if there is none.

    Power: any changed element in any evaluation.
    """
    for given in (torch.arange(SHAPE[0]), case.normal(SHAPE[0], 2), None):
        probe = Probe(gaussian)
        solve(case, case.build(), probe.field(), fractions(), condition=given)
        for got in probe.conditions:
            require(equal_or_none(got, given), f"the field receives the condition {got}; expected {given}")


@contract("sampler.batch_independence")
def batch_independence(case: Case) -> None:
    """A sample does not depend on the others in its batch: sampled alone, it is the same up to rounding.

    Power: a change by about 1e-12 (the bound grows with the number of evaluations).
    """
    sampler, x0 = case.build(), fractions()
    velocity = gaussian if is_stochastic(case) else ROTATION.velocity
    noise, probe = draws(case, x0), Probe(velocity)
    together = solve(case, sampler, probe.field(), x0, condition=None)
    for i in range(len(x0)):
        row = slice(i, i + 1)
        own = {"noise": lambda t, s, row=row: noise(t, s)[row]} if is_stochastic(case) else {}
        alone = solve(case, sampler, Probe(velocity).field(), x0[row], condition=None, **own)
        error = largest_difference(together[row], alone)
        # As for constant fields, but the rotation amplifies earlier rounding errors by a factor below 32 (measured for
        # Runge-Kutta methods of order 1 to 4 with 1 to 100 steps).
        bound = 8 * 32 * (len(probe.times) + 1) * EPS
        found = f"sample {i} changes by {error:.1e} when it is sampled alone; expected at most {bound:.1e}"
        hint = ONE_STEP_SIZE if "adaptive" in case.traits else ""
        require(error <= bound, f"{found}{hint}")


@contract("sampler.repeatable")
def repeatable(case: Case) -> None:
    """Equal arguments produce bit-identical samples, and no global random generator is used.

    A sampler without the trait "stochastic" receives no `noise` and must not use it.

    Power: any difference, and any draw.
    """
    sampler = case.build()
    with global_randomness_kept():
        first, second = observe(case, sampler), observe(case, sampler)
    require(torch.equal(first["samples"], second["samples"]), "two equal calls return different samples")
