"""The contracts of samplers: solvers of dx/dt = field(x, t, condition) from t = 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from gentoolkit.paths import Field
from gentoolkit.protocols import Sampler
from gentoolkit.testing.contracts import Case, contract, fail, require
from gentoolkit.testing.measures import equal_or_none, global_randomness_kept, largest_difference
from gentoolkit.testing.problems import LOGISTIC, ROTATION, SHAPE, Probe, fractions, gaussian

#: Contracts that ask for other numbers of steps ask for these.
STEPS = (4, 9)
#: The most by which a measured order may miss the declared one.
ORDER_SLACK = 0.15
EPS = torch.finfo(torch.float64).eps
#: Why an adaptive sampler's samples depend on each other, most likely.
ONE_STEP_SIZE = (
    "; does it choose one step size for the whole batch? Choose one for each sample (their t may then differ), "
    'or declare expected_failures={"sampler.batch_independence": "one step size for the whole batch"}'
)


def is_stochastic(case: Case) -> bool:
    """Return whether the sampler says that it is."""
    return "stochastic" in case.entry.component.traits


def draws(case: Case, like: Tensor, stream: int = 0) -> Callable[[int], Tensor]:
    """Return the noise for states like these; other streams are independent."""
    return lambda k: case.normal(*like.shape, draw=10_000 * (stream + 1) + k, dtype=like.dtype)


def solve(case: Case, sampler: Sampler, field: Field, x0: Tensor, **options: Any) -> Tensor:
    """Sample as a run does: on conditions, and with noise where the sampler says that it is stochastic."""
    noise = draws(case, x0) if is_stochastic(case) else None
    return sampler.sample(field, x0, **{"condition": case.conditions(len(x0)), "noise": noise, **options})


def _with_probes(case: Case) -> Iterator[tuple[str, Sampler, Probe]]:
    """Yield the tiny sampler and the same with other numbers of steps, each after sampling with a probe."""
    tiny = case.build()
    for name, sampler in [("tiny", tiny), *((f"{n} steps", tiny.with_num_steps(n)) for n in STEPS)]:
        probe = Probe(gaussian)
        solve(case, sampler, probe.field(), fractions())
        yield name, sampler, probe


def observe(case: Case, sampler: Sampler) -> dict[str, Tensor]:
    """Return what tells two samplers apart."""
    return {"samples": solve(case, sampler, Field(lambda x, t, condition: gaussian(x, t)), fractions())}


@contract("sampler.constant_field", skips=["stochastic"])
def constant_field(case: Case) -> None:
    """On a constant field c the result is x0 + c to rounding: the steps add up to 1, the weights of a step too.

    Power: steps or weights that are 1e-13 off, in any element (the bound grows with the number of evaluations).
    """
    x0, c = fractions(), case.normal(*SHAPE, dtype=torch.float64)
    probe = Probe(lambda x, t: c)
    error = (solve(case, case.build(), probe.field(), x0) - (x0 + c)).abs().max().item()
    # A step rounds a few products and sums per evaluation, each to EPS of the state's size.
    bound = 8 * (len(probe.times) + 1) * EPS * (x0.abs().max() + c.abs().max()).item()
    require(error <= bound, f"dx/dt = c ends {error:.2e} from x0 + c in float64; expected at most {bound:.2e}")


@contract("sampler.order", skips=["adaptive", "stochastic"])
def order(case: Case) -> None:
    """The error falls with the number of steps n as n^-order, to within 0.15 of the declared order.

    Measured in float64 on dx/dt = x (1 - x) (1 + cos 3t), between the last two n = 8, 16, 32, ... 512 whose error is
    above 1e-12: there rounding, below 512 * 8 * EPS = 9e-13, has no say, and the leading error term has nearly all.

    Power: an order that is 0.15 off; an error of a higher order than the leading one is not seen.
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
    require(len(errors) >= 2, f"with 16 steps or fewer the error is {error:.1e}: rounding, or no number")
    measured = math.log2(errors[-2] / errors[-1])
    table = ", ".join(f"{error:.1e}" for error in errors)
    require(
        abs(measured - sampler.order) <= ORDER_SLACK,
        f"measured order {measured:.2f}, declared {sampler.order}; errors with 8, 16, ... steps: {table}",
    )


@contract("sampler.times", skips=["adaptive"])
def times(case: Case) -> None:
    """The field is evaluated exactly at `times`, in their order, all in [0, 1]; t is (B,) and equal for the batch.

    Power: a time that is 1e-12 off, one too many, too few or out of order, with three numbers of steps.
    """
    for name, sampler, probe in _with_probes(case):
        shapes = {tuple(t.shape) for t in probe.times}
        require(shapes == {SHAPE[:1]}, f"{name}: t has the shapes {sorted(shapes)}; expected only {SHAPE[:1]}")
        require(all((t == t[0]).all() for t in probe.times), f"{name}: t differs between the samples of a batch")
        seen = [t[0].item() for t in probe.times]
        require(min(seen) >= 0 and max(seen) <= 1, f"{name}: t is from {min(seen)} to {max(seen)}; expected 0 to 1")
        declared = sampler.times
        if declared is None:
            fail(f"{name}: times is None; declare the times, or the trait 'adaptive'")
        # A state in float64 wants its times in float64; 1e-12 lets them be computed in another way.
        equal = len(seen) == len(declared) and all(abs(a - b) <= 1e-12 for a, b in zip(seen, declared, strict=True))
        require(equal, f"{name}: evaluated at {seen}; declared {list(declared)}")


@contract("sampler.nfe", skips=["adaptive"])
def nfe(case: Case) -> None:
    """The field is evaluated `nfe` times.

    Power: one evaluation too many or too few, with three numbers of steps.
    """
    for name, sampler, probe in _with_probes(case):
        require(len(probe.times) == sampler.nfe, f"{name}: {len(probe.times)} evaluations; declared {sampler.nfe}")


@contract("sampler.num_steps", skips=["adaptive"])
def num_steps(case: Case) -> None:
    """`with_num_steps(n)` gives the same sampler with n steps, and leaves the one that it is called on as it is.

    Power: another number of steps than 4 or 9; any difference of the samples.
    """
    sampler = case.build()
    before = sampler.nfe, sampler.times
    for n in STEPS:
        heard: dict[float, Tensor] = {}
        field = Probe(gaussian).field()
        solve(case, sampler.with_num_steps(n), field, fractions(), on_step=heard.__setitem__)
        require(len(heard) == n + 1, f"with_num_steps({n}) takes {len(heard) - 1} steps, by the calls of on_step")
    first, second = (s.with_num_steps(STEPS[0]) for s in (sampler, sampler.with_num_steps(STEPS[1])))
    same = torch.equal(observe(case, first)["samples"], observe(case, second)["samples"])
    require(same, f"with_num_steps({STEPS[1]}).with_num_steps({STEPS[0]}) samples unlike with_num_steps({STEPS[0]})")
    require((sampler.nfe, sampler.times) == before, "with_num_steps changes the sampler that it is called on")


@contract("sampler.on_step")
def on_step(case: Case) -> None:
    """`on_step` hears of x0 at t = 0.0, then of each step at growing times, then of the result at t = 1.0.

    The tensors that it is given may be kept: they do not change later. Listening does not change the result.

    Power: a time or a state that differs by any bit.
    """
    heard: list[tuple[float, Tensor, Tensor]] = []
    sampler, x0, field = case.build(), fractions(), Probe(gaussian).field()
    result = solve(case, sampler, field, x0, on_step=lambda t, x: heard.append((t, x, x.clone())))
    at = [t for t, _, _ in heard]
    growing = all(a < b for a, b in pairwise(at))
    require(at[:1] == [0.0] and at[-1:] == [1.0] and growing, f"heard of t = {at}; expected 0.0, growing, 1.0")
    require(all(torch.equal(kept, then) for _, kept, then in heard), "a state given to on_step is changed afterwards")
    require(torch.equal(heard[0][1], x0), "the state at t = 0.0 is not x0")
    require(torch.equal(heard[-1][1], result), "the state at t = 1.0 is not the result")
    require(torch.equal(solve(case, sampler, field, x0), result), "the result is another when on_step listens")


@contract("sampler.state")
def state(case: Case) -> None:
    """x0 is not modified, and the result has its shape and dtype, float32 or float64, and is finite.

    Power: any changed element of x0; any value that is not finite for Gaussian data.
    """
    for dtype in (torch.float32, torch.float64):
        x0 = fractions().to(dtype)
        given = x0.clone()
        result = solve(case, case.build(), Probe(gaussian).field(), x0)
        require(torch.equal(x0, given), f"x0 is modified, by up to {(x0 - given).abs().max():.1e}")
        got = tuple(result.shape), result.dtype
        require(got == (SHAPE, dtype), f"x0 is {SHAPE} {dtype}, the result {got[0]} {got[1]}; expected the same")
        require(result.isfinite().all(), "the result is not finite for Gaussian data")


@contract("sampler.condition")
def condition(case: Case) -> None:
    """The field is given the condition as it is, and None where there is none.

    Power: any changed element in any evaluation.
    """
    for given in (torch.arange(SHAPE[0]), case.normal(SHAPE[0], 2), None):
        probe = Probe(gaussian)
        solve(case, case.build(), probe.field(), fractions(), condition=given)
        for got in probe.conditions:
            require(equal_or_none(got, given), f"the field is given the condition {got}; expected {given}")


@contract("sampler.batch_independence")
def batch_independence(case: Case) -> None:
    """A sample does not depend on the others in its batch, to rounding: each is sampled alone, too.

    Power: a change by about 1e-12 (the bound grows with the number of evaluations).
    """
    sampler, x0 = case.build(), fractions()
    velocity = gaussian if is_stochastic(case) else ROTATION.velocity
    noise, probe = draws(case, x0), Probe(velocity)
    together = solve(case, sampler, probe.field(), x0, condition=None)
    for i in range(len(x0)):
        row = slice(i, i + 1)
        own = {"noise": lambda k, row=row: noise(k)[row]} if is_stochastic(case) else {}
        alone = solve(case, sampler, Probe(velocity).field(), x0[row], condition=None, **own)
        error = largest_difference(together[row], alone)
        # As for constant fields; the rotation amplifies what was rounded before, by less than 32 (measured for
        # Runge-Kutta methods of order 1 to 4 with 1 to 100 steps).
        bound = 8 * 32 * (len(probe.times) + 1) * EPS
        told = f"sample {i} changes by {error:.1e} when sampled alone; expected at most {bound:.1e}"
        hint = ONE_STEP_SIZE if "adaptive" in case.traits else ""
        require(error <= bound, f"{told}{hint}")


@contract("sampler.repeatable")
def repeatable(case: Case) -> None:
    """Equal arguments give bit-identical samples, and no global random generator is used.

    A sampler without the trait "stochastic" gets no noise and must not ask for it.

    Power: any difference, and any draw.
    """
    sampler = case.build()
    with global_randomness_kept():
        first, second = observe(case, sampler), observe(case, sampler)
    require(torch.equal(first["samples"], second["samples"]), "the same call twice gives different samples")
