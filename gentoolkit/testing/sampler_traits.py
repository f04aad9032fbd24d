"""Contracts for adaptive and stochastic samplers, in place of those that do not apply to them."""

from __future__ import annotations

import math

import torch

from gentoolkit.testing.contracts import MOST_SAMPLES, Case, contract, require
from gentoolkit.testing.measures import global_randomness_kept, z_bound
from gentoolkit.testing.problems import LOGISTIC, MEAN, ROTATION, STD, Probe, fractions, gaussian
from gentoolkit.testing.sampler import draws, solve

#: Shape of the states (samples, elements) and number of steps, for the moments of stochastic samplers.
STATES, MANY_STEPS = (MOST_SAMPLES, 128), 64
MANY = math.prod(STATES)


@contract("sampler.tolerance", needs=["adaptive"])
def tolerance(case: Case) -> None:
    """The error of an adaptive sampler is below its `tolerance`, on a smooth field and one with fast and slow samples.

    This is the largest difference from the known solutions, for states of size at most 1. All times must be in [0, 1].

    Power: an error above the tolerance of the tiny config in any element.
    """
    sampler, x0 = case.build(), fractions()
    require(sampler.tolerance is not None and sampler.tolerance > 0, f"tolerance is {sampler.tolerance}; declare it")
    for name, problem in (
        ("dx/dt = x (1 - x) (1 + cos 3t)", LOGISTIC),
        ("a rotation with a different speed for each sample", ROTATION),
    ):
        probe = Probe(problem.velocity)
        error = (solve(case, sampler, probe.field(), x0) - problem.solution(x0)).abs().max().item()
        declared = f"declared tolerance {sampler.tolerance:.1e}"
        require(error <= sampler.tolerance, f"{name}: error {error:.1e}; {declared}")
        seen = torch.stack([t.aminmax().max for t in probe.times] + [t.aminmax().min for t in probe.times])
        low, high = seen.min().item(), seen.max().item()
        require(low >= 0 and high <= 1, f"{name}: t ranges from {low} to {high}; expected 0 to 1")


@contract("sampler.noise", needs=["stochastic"])
def noise(case: Case) -> None:
    """A stochastic sampler draws only from `noise`: equal noise produces equal samples, other noise different ones.

    Power: any difference between samples from equal noise; noise that does not affect the samples.
    """
    sampler, x0 = case.build(), fractions()
    with global_randomness_kept():
        a, again, other = (
            solve(case, sampler, Probe(gaussian).field(), x0, noise=draws(case, x0, stream)) for stream in (0, 0, 1)
        )
    require(torch.equal(a, again), "equal noise produces different samples")
    require(not torch.equal(a, other), "different noise produces equal samples, but the sampler is 'stochastic'")


@contract("sampler.terminal_moments", needs=["stochastic"])
def terminal_moments(case: Case) -> None:
    """For the field of Gaussian data N(0.8, 0.5²), the results of a stochastic sampler have this mean and variance.

    They are measured with n = 64 and with 2n steps, on 2**17 independent elements each (1,024 samples of 128). A
    discretization error of order 1 / n cancels in the extrapolation 2 m(2n) - m(n), and errors of higher order stay
    small. The rest must be within z standard errors, i.e. those of a mean (or a variance) times sqrt(2² + 1²).

    Power: a mean that is off by 0.03, a variance that is off by 0.025 (a standard deviation that is off by 0.025).
    """
    sampler = case.build()
    moments = []
    for run, n in enumerate((MANY_STEPS, 2 * MANY_STEPS)):
        x0 = case.normal(*STATES, draw=run)
        options = {"condition": None, "noise": draws(case, x0, run)}
        x1 = solve(case, sampler.with_num_steps(n), Probe(gaussian).field(), x0, **options).double()
        moments.append((x1.mean().item(), x1.var().item()))
    errors = {"mean": STD * MANY**-0.5, "variance": STD**2 * (2 / MANY) ** 0.5}
    for coarse, fine, exact, name in zip(*moments, (MEAN, STD**2), errors, strict=True):
        found, bound = 2 * fine - coarse, z_bound(len(errors)) * 5**0.5 * errors[name]
        require(
            abs(found - exact) <= bound,
            f"terminal {name} {found:.4f} ({coarse:.4f} with {MANY_STEPS} steps, {fine:.4f} with {2 * MANY_STEPS}); "
            f"expected {exact:.4f} within {bound:.4f}",
        )
