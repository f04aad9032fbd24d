"""The decay of the average, against the definition of its power function."""

import numpy as np
import pytest
from pydantic import ValidationError

from gentoolkit.settings import EmaSettings
from gentoolkit.training.averages import decay, exponent

STEPS = 20_000


def averaging_weights(ema):
    """Return the weight of each step's parameters in the average after the last step, by the recursion."""
    decays = np.array([decay(ema, step) for step in range(1, STEPS + 1)])
    later = np.append(np.cumprod(decays[::-1])[::-1][1:], 1)
    return (1 - decays) * later


@pytest.mark.parametrize("sigma_rel", [0.03, 0.05, 0.1, 0.15, 0.25, 0.28])
def test_the_averaging_weights_have_the_relative_width(sigma_rel):
    """By the moments of the weights that the recursion itself gives; discrete steps change them by about 1 / STEPS."""
    weights, steps = averaging_weights(EmaSettings(sigma_rel=sigma_rel)), np.arange(1, STEPS + 1) / STEPS
    assert weights.sum() == pytest.approx(1, abs=1e-9)
    mean = (weights * steps).sum()
    assert np.sqrt((weights * (steps - mean) ** 2).sum()) == pytest.approx(sigma_rel, rel=1e-3)


@pytest.mark.parametrize("sigma_rel", [0.05, 0.1, 0.25])
def test_the_averaging_weights_are_a_power_function(sigma_rel):
    """t^gamma, up to the discretization, which changes the weight of step t by a factor of about 1 + gamma / (2 t)."""
    weights, gamma = averaging_weights(EmaSettings(sigma_rel=sigma_rel)), exponent(sigma_rel)
    steps = np.arange(1, STEPS + 1)
    late = steps > 100 * (gamma + 1)
    assert weights[late] == pytest.approx((gamma + 1) / STEPS * (steps[late] / STEPS) ** gamma, rel=1e-2)


def test_uniform_weights_are_the_widest():
    assert exponent(12**-0.5) == pytest.approx(0, abs=1e-6)
    assert exponent(0.28) > 0


def test_the_first_step_forgets_the_initial_weights():
    assert decay(EmaSettings(sigma_rel=0.1), 1) == 0


def test_a_constant_decay_is_constant():
    assert {decay(EmaSettings(decay=0.99), step) for step in (1, 2, 1000)} == {0.99}


@pytest.mark.parametrize("fields", [{}, {"decay": 0.9, "sigma_rel": 0.1}, {"decay": 1.0}, {"sigma_rel": 0.29}])
def test_exactly_one_profile_is_set(fields):
    with pytest.raises(ValidationError):
        EmaSettings(**fields)
