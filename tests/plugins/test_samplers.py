"""Euler's and Heun's method, fact by fact."""

import pytest
import torch

from building import built
from gentoolkit.fields import Field
from gentoolkit.paths import LINEAR


def euler(num_steps, **fields):
    return built("sampler", "euler", num_steps=num_steps, **fields)


def test_it_is_exact_on_a_constant_field():
    x0 = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(euler(7).sample(Field(lambda x, t, c: x * 0 + 2), x0), x0 + 2)


@pytest.mark.parametrize("num_steps", [1, 5, 20])
def test_on_exponential_growth_it_is_compound_interest(num_steps):
    x1 = euler(num_steps).sample(Field(lambda x, t, c: x), torch.ones(1, 1, dtype=torch.float64))
    assert x1.item() == pytest.approx((1 + 1 / num_steps) ** num_steps, rel=1e-12)


def test_halving_the_step_halves_the_error():
    def error(num_steps):
        x1 = euler(num_steps).sample(Field(lambda x, t, c: x), torch.ones(1, 1).double())
        return abs(x1.item() - torch.e)

    # The next term of the error is O(h) relative: 11 / 12 · h, so the ratio is 2 within 1 %  at h = 1/100.
    assert error(100) / error(200) == pytest.approx(2, abs=0.02)


def test_the_field_is_evaluated_at_the_declared_times():
    seen = []

    def record(x, t, c):
        seen.append(t.tolist())
        return x

    sampler = euler(4)
    sampler.sample(Field(record), torch.zeros(2, 1))
    assert seen == [[0.0, 0.0], [0.25, 0.25], [0.5, 0.5], [0.75, 0.75]]
    assert sampler.times == (0.0, 0.25, 0.5, 0.75)
    assert sampler.with_num_steps(9).nfe == 9


def test_the_condition_reaches_the_field():
    x1 = euler(2).sample(Field(lambda x, t, c: x * 0 + c[:, None]), torch.zeros(2, 1), torch.tensor([1, 5]))
    assert x1.flatten().tolist() == [1.0, 5.0]


def test_heun_has_the_growth_of_the_taylor_series_to_second_order():
    x1 = built("sampler", "heun", num_steps=5).sample(Field(lambda x, t, c: x), torch.ones(1, 1).double())
    assert x1.item() == pytest.approx((1 + 1 / 5 + 1 / 50) ** 5, rel=1e-12)


def test_a_shifted_grid_takes_shorter_steps_near_the_noise():
    sampler = euler(4, grid={"type": "shifted", "shift": 3.0})
    assert sampler.times == (0.0, 1 / 10, 2 / 8, 3 / 6)


def test_a_field_that_predicts_the_data_ends_with_its_prediction():
    """With x1 = 3 predicted everywhere, x moves on a straight line to 3, and ends there exactly."""
    seen = []

    def predict(x, t, condition):
        seen.append(t[0].item())
        return x * 0 + 3

    field = Field(predict, LINEAR, "denoised", (0.0, 0.9))
    states = {}
    x1 = built("sampler", "heun", num_steps=4).sample(field, torch.ones(1, 1).double(), on_step=states.__setitem__)
    assert x1.item() == 3
    assert max(seen) == 0.9
    assert states[0.5].item() == pytest.approx(2, abs=1e-12)


def test_a_field_that_predicts_the_noise_begins_inside_its_domain():
    """With x0 = 1 predicted everywhere, the velocity at t is (x - 1) / t, which has a pole at 0."""
    seen = []

    def predict(x, t, condition):
        seen.append(t[0].item())
        return x * 0 + 1

    x1 = euler(10).sample(Field(predict, LINEAR, "noise", (0.01, 1.0)), torch.ones(1, 1).double())
    assert min(seen) == 0.01
    assert x1.item() == pytest.approx(1, abs=1e-12)
