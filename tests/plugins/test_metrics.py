import math

import pytest
import torch

from gentoolkit.randomness import numpy_generator
from gentoolkit_metrics import ClassMeanRmseConfig, ResidualStdRatioConfig, SlicedWassersteinConfig
from gentoolkit_metrics.distances import SlicedWasserstein, squared_wasserstein
from gentoolkit_metrics.moments import ClassMeanRmse, ResidualStdRatio

BUILDERS = {
    "sliced_wasserstein": lambda: SlicedWasserstein(SlicedWassersteinConfig(num_projections=16)),
    "class_mean_rmse": lambda: ClassMeanRmse(ClassMeanRmseConfig()),
    "residual_std_ratio": lambda: ResidualStdRatio(ResidualStdRatioConfig()),
}
every_metric = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)


def normal(*shape, stream=0, dtype=torch.float32):
    return torch.as_tensor(numpy_generator(7, "test", stream, *shape).standard_normal(shape), dtype=dtype)


def value(build, real, generated):
    metric = build()
    metric.update(real, generated)
    return metric.compute()


@every_metric
@pytest.mark.parametrize(("num_samples", "num_dims"), [(2, 1), (8, 3), (64, 16), (32, 256)])
def test_standard_normal_sets_stay_within_the_declared_spread(build, num_samples, num_dims):
    bound = build().spread(num_samples, num_dims)
    for i in range(50):
        real, generated = (normal(num_samples, num_dims, stream=2 * i + side) for side in (0, 1))
        assert abs(value(build, real, generated) - build().optimum) <= bound


@every_metric
def test_samples_of_any_rank_are_flattened(build):
    real, generated = normal(9, 4), normal(9, 4, stream=1)
    assert value(build, real.reshape(9, 2, 1, 2), generated.reshape(9, 2, 1, 2)) == value(build, real, generated)
    assert math.isfinite(value(build, real[:, 0], generated[:, 0]))


@every_metric
def test_wrong_samples_are_refused(build):
    metric = build()
    with pytest.raises(ValueError, match="samples"):
        metric.compute()
    with pytest.raises(ValueError, match=r"real samples have shape \(2,\), generated \(3,\)"):
        metric.update(normal(5, 2), normal(5, 3))
    metric.update(normal(5, 2), normal(0, 2))
    with pytest.raises(ValueError, match="got 5 and 0"):
        metric.compute()
    with pytest.raises(ValueError, match="samples have 3 values, but those of earlier updates have 2"):
        metric.update(normal(5, 3), normal(5, 3))


def test_deviations_need_two_samples_a_side():
    with pytest.raises(ValueError, match="at least 2 real and 2 generated samples; got 2 and 1"):
        value(BUILDERS["residual_std_ratio"], normal(2, 3), normal(1, 3))
    with pytest.raises(ValueError, match="num_samples is 1"):
        BUILDERS["residual_std_ratio"]().spread(1, 3)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 5), (4, 6), (3, 7), (1, 5), (12, 8)])
def test_unequal_counts_equal_the_same_distributions_with_equal_counts(n, m):
    a, b = normal(n, 3, dtype=torch.float64), normal(m, 3, stream=1, dtype=torch.float64)
    # m copies of each of n samples are the same distribution; with n m samples a side the plan joins sorted pairs.
    pairs = a.repeat_interleave(m, 0).sort(0).values - b.repeat_interleave(n, 0).sort(0).values
    torch.testing.assert_close(squared_wasserstein(a, b), pairs.square().mean(0))


def test_squared_wasserstein_by_hand():
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[4.0], [1.0], [1.0]])
    # Quantiles on [0, 1/2]: 0 and 1; on [1/2, 2/3]: 1 and 1; on [2/3, 1]: 1 and 4.
    assert squared_wasserstein(a, b).item() == pytest.approx(1 / 2 * 1 + 1 / 6 * 0 + 1 / 3 * 9)


def test_sliced_distance_of_a_shift_is_the_mean_square_of_its_projections():
    metric, shift = BUILDERS["sliced_wasserstein"](), normal(6, dtype=torch.float64)
    real = normal(10, 6, dtype=torch.float64)
    metric.update(real, real + shift)
    expected = (metric.directions(6) @ shift).square().mean().sqrt().item()
    assert metric.compute() == pytest.approx(expected, rel=1e-12)


def test_sliced_distance_on_a_line_is_the_wasserstein_distance():
    real, generated = normal(10, 1, dtype=torch.float64), normal(10, 1, stream=1, dtype=torch.float64)
    expected = (real.sort(0).values - generated.sort(0).values).square().mean().sqrt().item()
    assert value(BUILDERS["sliced_wasserstein"], real, generated) == pytest.approx(expected, rel=1e-12)


def test_directions_have_unit_length_and_follow_from_the_seed_alone():
    state = torch.get_rng_state()
    one, two, other = (SlicedWasserstein(SlicedWassersteinConfig(seed=s)).directions(5) for s in (1, 1, 2))
    torch.testing.assert_close(one.norm(dim=1), torch.ones(256, dtype=torch.float64))
    assert torch.equal(one, two)
    assert not torch.isclose(one, other).any()
    assert torch.equal(torch.get_rng_state(), state)


def test_expected_squared_distances_of_equal_distributions():
    n, dims, repeats = 16, 8, 200
    values = {name: [] for name in ("sliced_wasserstein", "class_mean_rmse")}
    for i in range(repeats):
        for name, found in values.items():
            found.append(value(BUILDERS[name], normal(n, dims, stream=2 * i), normal(n, dims, stream=2 * i + 1)) ** 2)
    # RMSE² is (2 / n) χ²(dims) / dims; the mean of the repeats has the relative deviation sqrt(2 / (dims repeats)).
    tolerance = 6 * math.sqrt(2 / (dims * repeats))
    assert sum(values["class_mean_rmse"]) / repeats == pytest.approx(2 / n, rel=tolerance)
    # On each direction W2² is at least the squared distance of the means, 2 / n in expectation; from above comes the
    # bound in `spread`. Neither holds for the mean of the repeats but up to its own standard error.
    squares = torch.tensor(values["sliced_wasserstein"])
    error = 6 * squares.std().item() / math.sqrt(repeats)
    quantiles = torch.special.ndtri(torch.arange(1, n + 1) / (n + 1))
    assert 2 / n - error < squares.mean().item() < 2 * (1 - quantiles.square().mean().item()) + error


def test_mean_rmse_of_a_shift_is_its_root_mean_square():
    real = normal(10, 2, 2, dtype=torch.float64)
    shift = torch.tensor([[3.0, -4.0], [0.0, 0.0]])
    assert value(BUILDERS["class_mean_rmse"], real, real + shift) == pytest.approx(2.5, rel=1e-12)


def test_ratio_sees_scale_and_no_shift():
    real = normal(20, 3, dtype=torch.float64)
    assert value(BUILDERS["residual_std_ratio"], real, 5 - 0.3 * real) == pytest.approx(0.3, rel=1e-12)


def test_ratio_pools_unbiased_variances():
    real, generated = torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 3.0], [3.0, 0.0]])
    # Variances per dimension: real 2 and 0, generated 3 and 3.
    assert value(BUILDERS["residual_std_ratio"], real, generated) == pytest.approx(math.sqrt(3 / 1))


def test_ratio_keeps_its_digits_far_from_zero():
    # Whole numbers near 2**24 are exact in float32, their squares are not: naive float32 sums lose every digit.
    offsets = torch.arange(8.0).reshape(8, 1)
    real, generated = 2.0**24 - 16 + offsets, 2.0**24 - 16 + offsets.flip(0)[::2]
    expected = (generated.double().var() / real.double().var()).sqrt().item()
    assert value(BUILDERS["residual_std_ratio"], real, generated) == pytest.approx(expected, rel=1e-12)


def test_ratio_to_samples_without_deviation_is_not_finite():
    flat = torch.ones(3, 2)
    assert value(BUILDERS["residual_std_ratio"], flat, normal(3, 2)) == math.inf
    assert math.isnan(value(BUILDERS["residual_std_ratio"], flat, flat))


def test_ratio_spread_solves_its_tail_equation():
    # cosh(ln r)^(-k) = exp(-18) by the definition in the docstring.
    r = 1 + BUILDERS["residual_std_ratio"]().spread(11, 4)
    assert -40 * math.log(math.cosh(math.log(r))) == pytest.approx(-18)
