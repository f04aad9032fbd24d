import math

import numpy as np
import pytest
import torch

from building import built
from gentoolkit.api import DataSpec
from gentoolkit.evaluation import (
    GaussianClasses,
    exact_field,
    fit_gaussian_classes,
    reference_field,
    validation_loss,
)
from gentoolkit.evaluation.exact import FIT_SAMPLES
from gentoolkit.paths import LINEAR, gaussian_velocity, gaussian_velocity_error
from gentoolkit.protocols import Batch
from gentoolkit.randomness import normal_rows
from gentoolkit.sampling import generate
from testing_parts.objectives import Circle

SHAPE = (2, 3, 4)
MEANS = torch.linspace(-1, 2, 3).reshape(3, 1, 1, 1) * torch.linspace(0.5, 1.5, 24).reshape(SHAPE)
STDS = (0.03, 0.0376, 0.2)
GAUSSIAN = built("source", "gaussian", {"spec": DataSpec(SHAPE)})


class Sorted:
    """Classes N(MEANS[k], STDS[k]² I), one after another: the first samples are all of class 0."""

    def __init__(self, each, classes=3):
        self.each, self.classes, self.read = each, classes, []

    def __len__(self):
        return self.each * self.classes

    def batch(self, indices):
        self.read += indices.tolist()
        labels = torch.from_numpy(indices // self.each)
        noise = normal_rows(0, "data", indices, SHAPE)
        return Batch(MEANS[labels] + torch.tensor(STDS)[labels].reshape(-1, 1, 1, 1) * noise, labels)


def euler_factor(std, num_steps):
    """Return what n Euler steps with the exact field make of x0: on the linear path x1 = mean + factor x0.

    With x = t mean + y, dx/dt = mean + c(t) y, c = (t std² - (1 - t)) / (t² std² + (1 - t)²): the mean is followed
    exactly, and a step of h multiplies y by 1 + h c(t).
    """
    times = [k / num_steps for k in range(num_steps)]
    slopes = [(t * std**2 - (1 - t)) / (t**2 * std**2 + (1 - t) ** 2) for t in times]
    return math.prod(1 + c / num_steps for c in slopes)


@pytest.mark.parametrize("num_steps", [1, 20, 200])
def test_euler_steps_with_the_exact_field_are_exact_mathematics(num_steps):
    field = GaussianClasses(MEANS, STDS).field()
    x0, labels = normal_rows(1, "source", np.arange(30), SHAPE), torch.arange(30) % 3
    x1 = generate(field, built("sampler", "euler", num_steps=num_steps), x0, labels).x1
    factors = torch.tensor([euler_factor(std, num_steps) for std in STDS])[labels].reshape(-1, 1, 1, 1)
    # float32 states of size 4, rounded at every step; h |c| <= 1, so no step amplifies what came before.
    torch.testing.assert_close(x1, MEANS[labels] + factors * x0, rtol=0, atol=num_steps * 4 * 2**-23)


def test_twenty_steps_keep_half_of_the_deviation_and_many_keep_all():
    assert euler_factor(0.0376, 20) / 0.0376 == pytest.approx(0.55, abs=0.005)  # the figure known for the patterns
    assert euler_factor(0.0376, 20_000) / 0.0376 == pytest.approx(1, abs=0.01)


def test_without_labels_there_is_one_class():
    field = GaussianClasses(MEANS[:1], STDS[:1]).field()
    x, t = normal_rows(2, "source", np.arange(5), SHAPE), torch.linspace(0, 0.9, 5)
    conditions = (None, torch.zeros(5, 3), torch.full((5,), 7))
    assert all(torch.equal(field.velocity(x, t, None), field.velocity(x, t, condition)) for condition in conditions)


def test_another_path_is_followed():
    field = GaussianClasses(MEANS, (0.0, 0.0, 0.0)).field(Circle())
    x, t, labels = normal_rows(3, "source", np.arange(6), SHAPE), torch.linspace(0, 0.9, 6), torch.arange(6) % 3
    # A class that is one point: the denoised sample is that point, whatever x_t.
    torch.testing.assert_close(field.denoised(x, t, labels), MEANS[labels], rtol=0, atol=1e-4)


def test_means_and_deviations_are_those_of_the_samples():
    data = Sorted(40)
    fitted = fit_gaussian_classes(data, 3, seed=0, chunk=7)
    x1 = data.batch(np.arange(120)).x1.reshape(3, 40, *SHAPE)
    torch.testing.assert_close(fitted.means, x1.mean(dim=1))
    assert fitted.stds == pytest.approx(x1.double().var(dim=1).flatten(1).mean(dim=1).sqrt().tolist(), rel=1e-6)


def test_of_much_data_so_many_samples_are_read_in_no_order_of_theirs():
    data = Sorted(10**9)
    fitted = fit_gaussian_classes(data, 3, seed=0)
    assert len(set(data.read)) == 3 * FIT_SAMPLES
    # Of 1,500 draws, a class gets 500 with a deviation of 18.3: at least 390 but for P < 1e-8.
    assert (np.bincount(np.array(data.read) // 10**9, minlength=3) > 390).all()
    # The error of a mean is N(0, std² / n) in each of 24 dimensions: its root mean square exceeds
    # (std / sqrt(n)) (1 + 6 / sqrt(24)) but for P < 2e-8 a class.
    errors = (fitted.means - MEANS).flatten(1).square().mean(dim=1).sqrt()
    assert (errors < torch.tensor(STDS) / math.sqrt(390) * (1 + 6 / math.sqrt(24))).all()


def test_one_class_takes_all_samples_whatever_their_condition():
    data = Sorted(30, classes=2)
    fitted = fit_gaussian_classes(data, seed=0)
    torch.testing.assert_close(fitted.means[0], data.batch(np.arange(60)).x1.mean(dim=0))


@pytest.mark.parametrize(("each", "classes"), [(1, 3), (9, 4)])
def test_a_class_with_fewer_than_two_samples_has_no_field(each, classes):
    assert fit_gaussian_classes(Sorted(each), classes, seed=0) is None


def test_the_loss_by_time_is_the_mean_over_classes_of_different_spread():
    """The closed form is no linear function of the spread: that of the mean spread is off by up to a third here."""
    data, n = Sorted(4000), 12_000

    class Shuffled(Sorted):
        def batch(self, indices):
            return super().batch(indices * 7919 % n)

    found = validation_loss(
        reference_field(data, 3, gaussian=True, seed=0).field, Shuffled(4000), n, source=GAUSSIAN, seed=1
    )
    t = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    optima = torch.stack([gaussian_velocity_error(t, std) for std in STDS])
    curve, mean_std = optima.mean(dim=0).reshape(10, -1), gaussian_velocity_error(t, sum(STDS) / 3).reshape(10, -1)
    # A sample's loss given its class is its optimum times chi²(24) / 24; the class is one of three.
    squares = ((1 + 2 / 24) * optima.square().mean(dim=0) - optima.mean(dim=0).square()).reshape(10, -1).mean(dim=1)
    for k in range(10):
        # The fitted means and spreads add less than 1 / 400 (see `fit_gaussian_classes`).
        assert abs(found.loss_by_t[k] - curve[k].mean()) <= 6 * (squares[k] / 1200).sqrt() + curve[k].mean() / 400
    assert (mean_std.mean(dim=1) / curve.mean(dim=1) - 1).abs().max() > 0.3


class Known(Sorted):
    """The same data, which knows E[x1 | x_t]."""

    def denoised(self, x_t, alpha, sigma, condition):
        assert x_t.dtype == alpha.dtype == sigma.dtype == torch.float64
        a, s = (c.reshape(-1, 1, 1, 1) for c in (alpha, sigma))
        mean, variance = MEANS[condition].double(), torch.tensor(STDS).double()[condition].reshape(-1, 1, 1, 1) ** 2
        return mean + a * variance / (a**2 * variance + s**2) * (x_t - a * mean)


@pytest.mark.parametrize("path", [LINEAR, Circle()], ids=["linear", "circle"])
def test_data_that_knows_its_posterior_has_the_exact_field_of_any_path(path):
    reference = reference_field(Known(2), 3, gaussian=False, seed=0, path=path)
    assert reference.name == "exact field"
    x, t, labels = normal_rows(4, "source", np.arange(30), SHAPE), torch.linspace(0, 0.99, 30), torch.arange(30) % 3
    best = torch.cat(
        [gaussian_velocity(x[i : i + 1], t[i : i + 1], MEANS[i % 3], STDS[i % 3], path) for i in range(30)]
    )
    # float32 rounding of the closed form, whose slopes reach 1 / std² = 1,100 times x of size 4.
    torch.testing.assert_close(reference.field.velocity(x, t, labels), best, rtol=1e-3, atol=1e-3)
    assert exact_field(Known(2), path).path == path


def test_the_exact_field_is_finite_at_both_ends():
    field, x = exact_field(Known(2)), normal_rows(4, "source", np.arange(3), SHAPE)
    for t in (0.0, 1.0):
        assert field.velocity(x, torch.full((3,), t), torch.arange(3)).isfinite().all()


def test_data_that_says_nothing_of_its_distribution_has_no_reference():
    assert reference_field(Sorted(9), 3, gaussian=False, seed=0) is None
    assert reference_field(Sorted(1), 3, gaussian=True, seed=0) is None
    assert reference_field(Sorted(9), 3, gaussian=True, seed=0).name == "Gaussian model"
