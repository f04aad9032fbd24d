"""Conversions along a path, against autograd, Monte Carlo and closed forms."""

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gentoolkit.fields import Field
from gentoolkit.paths import LINEAR, Linear, expand, gaussian_velocity, gaussian_velocity_error
from testing_parts.objectives import Circle

PATHS = pytest.mark.parametrize("path", [LINEAR, Circle()], ids=["linear", "circle"])


def drawn(seed=0, count=5):
    g = torch.Generator().manual_seed(seed)
    x0, x1 = (torch.randn(count, 2, 3, generator=g, dtype=torch.float64) for _ in range(2))
    return x0, x1, 0.05 + 0.9 * torch.rand(count, generator=g, dtype=torch.float64)


@PATHS
def test_ends_are_source_and_data(path):
    x0, x1, t = drawn()
    torch.testing.assert_close(path.interpolate(x0, x1, t * 0), x0)
    torch.testing.assert_close(path.interpolate(x0, x1, t * 0 + 1), x1)


@PATHS
def test_velocity_is_the_time_derivative(path):
    x0, x1, t = drawn()
    _, by_autograd = torch.func.jvp(lambda time: path.interpolate(x0, x1, time), (t,), (torch.ones_like(t),))
    torch.testing.assert_close(path.velocity(x0, x1, t), by_autograd)


@PATHS
def test_velocity_denoised_and_noise_determine_each_other(path):
    x0, x1, t = drawn()
    x_t, v = path.interpolate(x0, x1, t), path.velocity(x0, x1, t)
    torch.testing.assert_close(path.denoised_from_velocity(v, x_t, t), x1)
    torch.testing.assert_close(path.noise_from_velocity(v, x_t, t), x0)
    torch.testing.assert_close(path.velocity_from_denoised(x1, x_t, t), v)
    torch.testing.assert_close(path.velocity_from_noise(x0, x_t, t), v)


def test_linear_forms_are_the_documented_ones():
    x0, x1, t = drawn()
    x_t, v = LINEAR.interpolate(x0, x1, t), x1 - x0
    torch.testing.assert_close(x_t, x0 + expand(t, x0) * (x1 - x0))
    torch.testing.assert_close(LINEAR.velocity(x0, x1, t), v)
    torch.testing.assert_close(LINEAR.denoised_from_velocity(v, x_t, t), x_t + expand(1 - t, v) * v)
    torch.testing.assert_close(LINEAR.noise_from_velocity(v, x_t, t), x_t - expand(t, v) * v)


def test_score_of_a_gaussian_field_is_the_gradient_of_its_log_density():
    """For N(mean, std² I) the marginal at t is N(t mean, D I), whose score is -(x - t mean) / D."""
    _, x, t = drawn()
    mean, std = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64), 0.3
    field = Field(lambda x, t, c: gaussian_velocity(x, t, mean, std))
    time = expand(t, x)
    variance = time**2 * std**2 + (1 - time) ** 2
    torch.testing.assert_close(field.score(x, t), -(x - time * mean) / variance)
    denoised = mean + time * std**2 / variance * (x - time * mean)  # E[x1 | x_t] of jointly Gaussian x1 and x_t
    torch.testing.assert_close(field.denoised(x, t), denoised)
    torch.testing.assert_close(field.noise(x, t), (x - time * denoised) / (1 - time))


@given(std=st.floats(0.01, 3.0), t=st.floats(0, 1))
def test_gaussian_velocity_is_the_regression_of_v_on_x_t(std, t):
    """Its slope is cov(v, x_t) / var(x_t); the residual variance is var(v) - cov² / var."""
    variance, covariance = t**2 * std**2 + (1 - t) ** 2, t * std**2 - (1 - t)
    time, zero, one = (torch.tensor([value], dtype=torch.float64) for value in (t, 0.0, 1.0))
    slope = gaussian_velocity(one, time, zero, std) - gaussian_velocity(zero, time, zero, std)
    assert slope.item() == pytest.approx(covariance / variance, rel=1e-9, abs=1e-12)
    # 1e-12 absolute: the difference of two numbers of size up to 10.
    left = (1 + std**2) - covariance**2 / variance
    assert gaussian_velocity_error(time, std).item() == pytest.approx(left, rel=1e-6, abs=1e-9)


@given(std=st.floats(0.02, 3.0))
def test_the_smallest_loss_integrates_to_half_pi_std(std):
    # Midpoint rule: its error is at most h² / 24 · max|f''|; f = std²/D has |f''| <= 8 / std² (D >= std²/(1+std²),
    # |D'| <= 2, D'' <= 2(1+std²) give it up to std ~ 3), so h = std / 2000 keeps it below 1e-6.
    count = math.ceil(2000 / std) + 2000
    t = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    assert gaussian_velocity_error(t, std).mean().item() == pytest.approx(math.pi / 2 * std, abs=1e-4)


def test_a_path_is_named_by_its_coefficients_and_their_parameters():
    @dataclass(frozen=True)
    class Bent(Linear):
        power: float = 2.0

    assert (LINEAR.name, Circle().name) == ("linear", "circle")
    assert (Bent().name, Bent(3.0).name) == ("bent(power=2.0)", "bent(power=3.0)")
    assert Circle() == Circle() != LINEAR
