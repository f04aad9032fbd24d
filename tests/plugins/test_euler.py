"""Euler's method, fact by fact."""

import pytest
import torch

from gentoolkit.paths import Field
from gentoolkit_euler import EulerConfig
from gentoolkit_euler.sampler import Euler


def test_it_is_exact_on_a_constant_field():
    x0 = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(Euler(EulerConfig(num_steps=7)).sample(Field(lambda x, t, c: x * 0 + 2), x0), x0 + 2)


@pytest.mark.parametrize("num_steps", [1, 5, 20])
def test_on_exponential_growth_it_is_compound_interest(num_steps):
    x1 = Euler(EulerConfig(num_steps=num_steps)).sample(Field(lambda x, t, c: x), torch.ones(1, 1, dtype=torch.float64))
    assert x1.item() == pytest.approx((1 + 1 / num_steps) ** num_steps, rel=1e-12)


def test_halving_the_step_halves_the_error():
    def error(num_steps):
        x1 = Euler(EulerConfig(num_steps=num_steps)).sample(Field(lambda x, t, c: x), torch.ones(1, 1).double())
        return abs(x1.item() - torch.e)

    # The next term of the error is O(h) relative: 11 / 12 · h, so the ratio is 2 within 1 %  at h = 1/100.
    assert error(100) / error(200) == pytest.approx(2, abs=0.02)


def test_the_field_is_evaluated_at_the_declared_times():
    seen = []

    def record(x, t, c):
        seen.append(t.tolist())
        return x

    sampler = Euler(EulerConfig(num_steps=4))
    sampler.sample(Field(record), torch.zeros(2, 1))
    assert seen == [[0.0, 0.0], [0.25, 0.25], [0.5, 0.5], [0.75, 0.75]]
    assert sampler.times == (0.0, 0.25, 0.5, 0.75)
    assert sampler.with_num_steps(9).nfe == 9


def test_the_condition_reaches_the_field():
    x1 = Euler(EulerConfig(num_steps=2)).sample(
        Field(lambda x, t, c: x * 0 + c[:, None]), torch.zeros(2, 1), torch.tensor([1, 5])
    )
    assert x1.flatten().tolist() == [1.0, 5.0]
