"""The problems that samplers are measured on have the solutions that they say."""

import pytest
import torch

from gentoolkit.testing.problems import LOGISTIC, ROTATION, Problem, fractions


@pytest.mark.parametrize("problem", [LOGISTIC, ROTATION], ids=["logistic", "rotation"])
def test_fine_steps_of_the_classical_method_reach_the_solution(problem: Problem):
    n, x = 1000, fractions()
    for k in range(n):
        t = [torch.full((len(x),), (k + c) / n, dtype=x.dtype) for c in (0, 0.5, 1)]
        k1 = problem.velocity(x, t[0])
        k2 = problem.velocity(x + k1 / (2 * n), t[1])
        k3 = problem.velocity(x + k2 / (2 * n), t[1])
        k4 = problem.velocity(x + k3 / n, t[2])
        x = x + (k1 + 2 * k2 + 2 * k3 + k4) / (6 * n)
    # Order 4: the error is about (speed / n)^4 with speeds up to 16, so 7e-8; a wrong solution is off by far more.
    assert (x - problem.solution(fractions())).abs().max() < 1e-7


def test_the_rotation_has_fast_and_slow_samples():
    speeds = ROTATION.velocity(fractions(), torch.zeros(5, dtype=torch.float64)).norm(dim=1)
    assert speeds.max() > 20 * speeds.min()
