import math
from functools import partial

import numpy as np
import pytest
import torch

from building import built
from gentoolkit import evaluation
from gentoolkit.api import DataSpec
from gentoolkit.errors import GentoolError
from gentoolkit.evaluation import TIME_BINS, ValidationLoss
from gentoolkit.fields import Field
from gentoolkit.paths import gaussian_velocity, gaussian_velocity_error
from gentoolkit.protocols import Batch
from gentoolkit.randomness import Permutation, normal_rows
from gentoolkit.records import Loss
from testing_parts.objectives import Circle

STD, DIMS = 0.2, 16
validation_loss = partial(evaluation.validation_loss, source=built("source", "gaussian", {"spec": DataSpec((DIMS,))}))
#: One mean per class; the field knows the class.
MEANS = torch.linspace(-1, 2, 4)[:, None] * torch.linspace(0.5, 1.5, DIMS)


class GaussianClasses:
    """Classes N(mean, STD² I), class = index mod 4; pairs where told."""

    def __init__(self, length, paired=False):
        self.length, self.paired = length, paired

    def __len__(self):
        return self.length

    def batch(self, indices):
        labels = torch.from_numpy(indices % 4)
        x1 = MEANS[labels] + STD * normal_rows(0, "data", indices, (DIMS,))
        return Batch(x1, labels, 2 * x1 if self.paired else None)


def exact(x, t, condition):
    return gaussian_velocity(x, t, MEANS[condition], STD)


@pytest.fixture(scope="module")
def data():
    return GaussianClasses(3000)


def conditional_errors(n):
    """Return s²/D at the fixed times, (n,): what x_t leaves open of v, per dimension."""
    return gaussian_velocity_error((torch.arange(n, dtype=torch.float64) + 0.5) / n, STD)


def test_the_exact_field_reaches_the_optimum(data):
    errors = conditional_errors(len(data))
    # The midpoint rule over t: |error| <= max|f''| / (24 n²). With w = (t - 1 / (1 + s²)) (1 + s²) / s, f = s²/D is
    # (1 + s²) / (1 + w²), and |(1 / (1 + w²))''| <= 2, so max|f''| <= 2 (1 + s²)³ / s².
    midpoint = 2 * (1 + STD**2) ** 3 / STD**2 / (24 * len(data) ** 2)
    assert abs(errors.mean().item() - math.pi / 2 * STD) <= midpoint
    # Given x_t, the residual is N(0, (s²/D) I): a sample's loss is (s²/D) χ²(d) / d, with the variance 2 (s²/D)² / d.
    deviation = math.sqrt(2 / DIMS * errors.square().mean().item() / len(data))
    loss = validation_loss(Field(exact), data, len(data), seed=1).loss
    assert abs(loss - math.pi / 2 * STD) <= midpoint + 6 * deviation


def test_each_part_of_time_reaches_its_optimum(data):
    loss = validation_loss(Field(exact), data, len(data), seed=1)
    parts = conditional_errors(len(data)).reshape(TIME_BINS, -1)
    for measured, errors in zip(loss.loss_by_t, parts, strict=True):
        # As above, within a part; 6.5 standard errors for ten questions at once.
        deviation = math.sqrt(2 / DIMS * errors.square().mean().item() / len(errors))
        assert abs(measured - errors.mean().item()) <= 6.5 * deviation


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, t, c: exact(x, t, c) + 0.05,
        lambda x, t, c: exact(x, 0.95 * t, c),
        lambda x, t, c: exact(x, t, (c + 1) % 4),
        lambda x, t, c: gaussian_velocity(x, t, MEANS[c], 1.2 * STD),
    ],
    ids=["shifted", "slow", "wrong class", "wrong std"],
)
def test_every_other_field_is_above(data, wrong):
    faults, conditional = [], []

    def field(x, t, condition):
        faults.append(wrong(x, t, condition) - exact(x, t, condition))
        conditional.append(gaussian_velocity_error(t.double(), STD))
        return wrong(x, t, condition)

    excess = validation_loss(Field(field), data, len(data), seed=1).loss
    excess -= validation_loss(Field(exact), data, len(data), seed=1).loss
    squares = torch.cat(faults).double().square().mean(1)
    # With the residual e and the fault f of a sample, the excess is the mean of (|f|² - 2 e·f) / d. Given x_t, f is
    # fixed and e ~ N(0, (s²/D) I), so the second term has the mean 0 and the variance 4 |f|² (s²/D) / d².
    deviation = math.sqrt(4 * (squares * torch.cat(conditional)).mean().item() / DIMS / len(data))
    assert abs(excess - squares.mean().item()) <= 6 * deviation
    assert excess > 0


def test_no_randomness_is_left(data):
    state = torch.get_rng_state()
    one, two = (validation_loss(Field(exact), data, 100, seed=3) for _ in range(2))
    assert one == two
    assert torch.equal(torch.get_rng_state(), state)
    assert validation_loss(Field(exact), data, 100, seed=4).loss != one.loss


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_the_batch_size_changes_rounding_only(data, batch_size):
    whole, parts = (validation_loss(Field(exact), data, 50, seed=3, batch_size=b) for b in (50, batch_size))
    # Every sample's loss is a float32 mean of 16 terms: a relative error of a few 2**-24.
    assert parts.loss == pytest.approx(whole.loss, rel=1e-6)
    assert parts.loss_by_t == pytest.approx(whole.loss_by_t, rel=1e-6)


def recorded(data, n, **kwargs):
    seen = []

    def field(x, t, condition):
        seen.append((x, t, condition))
        return torch.zeros_like(x)

    loss = validation_loss(Field(field), data, n, seed=3, batch_size=8, **kwargs)
    return loss, *(torch.cat(parts) for parts in zip(*seen, strict=True))


def test_times_are_stratified_and_no_class_goes_with_a_time(data):
    _, _, t, _ = recorded(data, 400)
    assert torch.equal(t.sort().values, ((torch.arange(400, dtype=torch.float64) + 0.5) / 400).float())
    # The mean of 100 times out of 400, drawn without replacement, has the variance (1/12) / 100 (1 - 100/400).
    bound = 5 * math.sqrt(0.75 / 1200)
    assert (t.reshape(100, 4).mean(0) - 0.5).abs().max() <= bound  # classes that alternate
    assert (t.reshape(4, 100).mean(1) - 0.5).abs().max() <= bound  # classes one after another


def test_a_field_of_zeros_scores_the_mean_square_of_the_velocity(data):
    loss, x_t, t, _ = recorded(data, 20)
    x1 = data.batch(np.arange(20)).x1
    x0 = (x_t - t[:, None] * x1) / (1 - t[:, None])
    errors = (x1 - x0).square().mean(1)
    # x0 comes back through a division by 1 - t >= 1/40: float32 rounding grows to some 1e-5.
    assert loss.loss == pytest.approx(errors.mean().item(), rel=1e-4)
    for k in range(TIME_BINS):  # 20 samples: two times in each tenth
        part = errors[(t * TIME_BINS).long() == k]
        assert len(part) == 2
        assert loss.loss_by_t[k] == pytest.approx(part.mean().item(), rel=1e-4)


def test_noise_depends_on_the_index_alone(data):
    def x0(n):
        _, x_t, t, _ = recorded(data, n)
        return (x_t - t[:, None] * data.batch(np.arange(n)).x1) / (1 - t[:, None])

    torch.testing.assert_close(x0(10), x0(30)[:10], rtol=0, atol=1e-4)


def test_pairs_bring_their_own_start():
    loss, x_t, t, _ = recorded(GaussianClasses(20, paired=True), 20)
    x1 = GaussianClasses(20).batch(np.arange(20)).x1
    torch.testing.assert_close(x_t, (2 - t[:, None]) * x1)
    assert loss.loss == pytest.approx(x1.square().mean().item(), rel=1e-5)


class ByFirst:
    """Pairs x0 and x1 in the order of their first elements."""

    def couple(self, x0, x1, condition):
        rows = torch.empty(len(x1), dtype=torch.int64)
        rows[x1[:, 0].argsort()] = x0[:, 0].argsort()
        return rows


@pytest.mark.parametrize("batch_size", [3, 8, 64])
def test_pairs_are_coupled_as_in_training_whatever_the_batch_size(data, batch_size):
    seen = {}

    def field(x, t, condition):
        seen.update(zip(t.tolist(), x, strict=True))
        return torch.zeros_like(x)

    validation_loss(Field(field), data, 20, seed=3, batch_size=batch_size, coupling=ByFirst(), coupled_size=8)
    order = Permutation(20, 3, "validation-times")(np.arange(20))
    times, x1 = torch.from_numpy((order + 0.5) / 20).float(), data.batch(np.arange(20)).x1
    x_t = torch.stack([seen[t] for t in times.tolist()])
    x0 = normal_rows(3, "validation-noise", np.arange(20), (DIMS,))
    for rows in (slice(0, 8), slice(8, 16), slice(16, 20)):
        paired, t = x0[rows][ByFirst().couple(x0[rows], x1[rows], None)], times[rows, None]
        torch.testing.assert_close(x_t[rows], t * x1[rows] + (1 - t) * paired)


def test_another_path_is_followed(data):
    class OnePoint(GaussianClasses):
        def batch(self, indices):
            return Batch(MEANS[3].expand(len(indices), DIMS))

    path = Circle()
    field = Field(lambda x, t, c: path.velocity_from_denoised(MEANS[3], x, t), path)
    # All is known but float32 rounding of x_t (some 2**-22), divided by sigma >= cos(pi/2 39/40) = 0.04, and squared.
    assert validation_loss(field, OnePoint(20), 20, seed=1).loss < 1e-9


def test_no_gradient_and_no_autocast_reach_the_field(data):
    weight = torch.ones(DIMS, DIMS, requires_grad=True)
    kinds = []

    def field(x, t, c):
        out = x @ weight
        kinds.append((out.dtype, out.requires_grad))
        return out

    with torch.autocast("cpu", torch.bfloat16):
        validation_loss(Field(field), data, 4, seed=0)
    assert kinds == [(torch.float32, False)]


def test_few_samples_leave_parts_of_time_empty(data):
    loss = validation_loss(Field(exact), data, 2, seed=0)  # t = 0.25 and 0.75
    assert [k for k, part in enumerate(loss.loss_by_t) if part is not None] == [2, 7]
    assert math.isclose(loss.loss, (loss.loss_by_t[2] + loss.loss_by_t[7]) / 2)


def test_too_few_samples_are_refused():
    with pytest.raises(
        GentoolError, match=r"evaluate\.validation_samples needs 9 held-out samples, but there are 8; lower it"
    ):
        validation_loss(Field(exact), GaussianClasses(8), 9, seed=0)


def test_bins_without_samples_or_with_nan_are_unknown_in_the_record():
    numbers = ValidationLoss(np.array([0.5, math.nan]), "linear").numbers()
    assert Loss(**numbers) == Loss(loss=None, loss_by_t=[None, None, 0.5, *[None] * 7])


def test_the_excess_over_a_better_field_and_its_standard_error(data):
    """The excess of a field that errs by f is |f|² on average, and its error is known from the closed form."""
    n, fault = 1000, 0.1
    best = validation_loss(Field(exact), data, n, seed=1)
    shifted = validation_loss(Field(lambda x, t, c: exact(x, t, c) + fault), data, n, seed=1)
    excess, error = shifted.excess_over(best)
    assert excess == pytest.approx(shifted.loss - best.loss, abs=1e-6)
    # (e + f)² - e² = f² + 2 e f, averaged over the dimensions, where e ~ N(0, (s² / D) I).
    true_error = math.sqrt(4 * fault**2 / DIMS * conditional_errors(n).mean().item() / n)
    assert abs(excess - fault**2) <= 6 * true_error
    assert error == pytest.approx(true_error, rel=0.3)  # of a sum of 1,000 squares with heavy tails: about 6 % each


def test_a_smooth_excess_over_time_is_no_chance():
    t = (np.arange(400) + 0.5) / 400
    excess, error = ValidationLoss(1 + t, "linear").excess_over(ValidationLoss(np.ones(400), "linear"))
    assert excess == pytest.approx(0.5)
    assert error == pytest.approx(1 / 400 / math.sqrt(2 * 400))


def test_losses_on_different_paths_do_not_compare():
    one, other = ValidationLoss(np.ones(4), "linear"), ValidationLoss(np.ones(4), "circle")
    with pytest.raises(GentoolError, match=r"path linear cannot be compared with .* path circle"):
        one.excess_over(other)
    with pytest.raises(GentoolError, match=r"4 samples .* cannot be compared with one on 5 samples"):
        one.excess_over(ValidationLoss(np.ones(5), "linear"))


def test_the_path_of_the_field_is_recorded(data):
    assert validation_loss(Field(exact), data, 4, seed=0).path == "linear"
    assert validation_loss(Field(exact, Circle()), data, 4, seed=0).path == "circle"


def test_a_gaussian_model_bounds_the_optimum_of_other_data():
    # Data ±s in each dimension has the deviation s, and a field that knows the two points does better than (pi/2) s.
    s, n = 0.5, 4000

    class TwoPoints:
        def __len__(self):
            return n

        def batch(self, indices):
            return Batch(s * normal_rows(0, "signs", indices, (DIMS,)).sign())

    def best(x, t, _):
        t = t[:, None]
        x1 = s * torch.tanh(t * s * x / (1 - t) ** 2)  # E[x1 | x_t], from the ratio of the two normal densities
        return (x1 - x) / (1 - t)

    scalar, knowing = (
        validation_loss(Field(f), TwoPoints(), n, seed=0).loss
        for f in (lambda x, t, c: gaussian_velocity(x, t, torch.zeros(DIMS), s), best)
    )
    # The affine field reaches (pi/2) s on these data too. A sample's loss is at most of order (|v| / sqrt(d))² ~ 1.25
    # with a deviation below 1: 6 standard errors.
    assert abs(scalar - math.pi / 2 * s) <= 6 / math.sqrt(n)
    assert knowing < math.pi / 2 * s - 6 / math.sqrt(n)
