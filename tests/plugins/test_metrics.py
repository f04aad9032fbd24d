import math

import pytest
import torch

from building import built
from gentoolkit.api import DataSpec
from gentoolkit.randomness import numpy_generator
from gentoolkit_metrics.distances import squared_wasserstein

SIMPLE = ["sliced_wasserstein", "class_mean_rmse", "residual_std_ratio"]
every_metric = pytest.mark.parametrize("name", SIMPLE)


def normal(*shape, stream=0, dtype=torch.float32):
    return torch.as_tensor(numpy_generator(7, "test", stream, *shape).standard_normal(shape), dtype=dtype)


def build(name, shape, **fields):
    fields = {"num_projections": 16} | fields if name == "sliced_wasserstein" else fields
    return built("metric", name, {"spec": DataSpec(tuple(shape)), "seed": 0, "train": None}, **fields)


def value(name, real, generated, **fields):
    metric = build(name, real.shape[1:], **fields)
    return metric.value(metric.prepare(real, None), metric.prepare(generated, None))


@every_metric
def test_samples_of_any_rank_are_flattened(name):
    real, generated = normal(9, 4), normal(9, 4, stream=1)
    assert value(name, real.reshape(9, 2, 1, 2), generated.reshape(9, 2, 1, 2)) == value(name, real, generated)
    assert math.isfinite(value(name, real[:, 0], generated[:, 0]))


@every_metric
def test_too_few_samples_are_refused(name):
    least = 2 if name == "residual_std_ratio" else 1
    with pytest.raises(ValueError, match=f"at least {least} real and {least} generated samples; got 5 and 0"):
        value(name, normal(5, 2), normal(0, 2))


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
    metric, shift = build("sliced_wasserstein", (6,)), normal(6, dtype=torch.float64)
    real = normal(10, 6, dtype=torch.float64)
    expected = (metric.directions @ shift).square().mean().sqrt().item()
    assert value("sliced_wasserstein", real, real + shift) == pytest.approx(expected, rel=1e-12)


def test_sliced_distance_on_a_line_is_the_wasserstein_distance():
    real, generated = normal(10, 1, dtype=torch.float64), normal(10, 1, stream=1, dtype=torch.float64)
    expected = (real.sort(0).values - generated.sort(0).values).square().mean().sqrt().item()
    assert value("sliced_wasserstein", real, generated) == pytest.approx(expected, rel=1e-12)


def test_directions_have_unit_length_and_follow_from_the_seed_alone():
    state = torch.get_rng_state()
    one, two, other = (build("sliced_wasserstein", (5,), seed=s, num_projections=256).directions for s in (1, 1, 2))
    torch.testing.assert_close(one.norm(dim=1), torch.ones(256, dtype=torch.float64))
    assert torch.equal(one, two)
    assert not torch.isclose(one, other).any()
    assert torch.equal(torch.get_rng_state(), state)


def test_expected_squared_distances_of_equal_distributions():
    n, dims, repeats = 16, 8, 200
    values = {name: [] for name in ("sliced_wasserstein", "class_mean_rmse")}
    for i in range(repeats):
        for name, found in values.items():
            found.append(value(name, normal(n, dims, stream=2 * i), normal(n, dims, stream=2 * i + 1)) ** 2)
    # RMSE² is (2 / n) χ²(dims) / dims; the mean of the repeats has the relative deviation sqrt(2 / (dims repeats)).
    tolerance = 6 * math.sqrt(2 / (dims * repeats))
    assert sum(values["class_mean_rmse"]) / repeats == pytest.approx(2 / n, rel=tolerance)
    # On each direction W2² is at least the squared distance of the means, 2 / n in expectation. From above: over the
    # sorted draws, E W2² = (2 / n) sum_i Var x_i = 2 (1 - mean_i m_i²) with m_i = E x_i, and |m_i| >= |q(i / (n + 1))|
    # for the normal quantile function q, which is convex above 0. Both up to the standard error of the mean.
    squares = torch.tensor(values["sliced_wasserstein"])
    error = 6 * squares.std().item() / math.sqrt(repeats)
    quantiles = torch.special.ndtri(torch.arange(1, n + 1) / (n + 1))
    assert 2 / n - error < squares.mean().item() < 2 * (1 - quantiles.square().mean().item()) + error


def test_mean_rmse_of_a_shift_is_its_root_mean_square():
    real = normal(10, 2, 2, dtype=torch.float64)
    shift = torch.tensor([[3.0, -4.0], [0.0, 0.0]])
    assert value("class_mean_rmse", real, real + shift) == pytest.approx(2.5, rel=1e-12)


def test_ratio_sees_scale_and_no_shift():
    real = normal(20, 3, dtype=torch.float64)
    assert value("residual_std_ratio", real, 5 - 0.3 * real) == pytest.approx(0.3, rel=1e-12)


def test_ratio_pools_unbiased_variances():
    real, generated = torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 3.0], [3.0, 0.0]])
    # Variances per dimension: real 2 and 0, generated 3 and 3.
    assert value("residual_std_ratio", real, generated) == pytest.approx(math.sqrt(3 / 1))


def test_ratio_keeps_its_digits_far_from_zero():
    # Whole numbers near 2**24 are exact in float32, their squares are not: naive float32 sums lose every digit.
    offsets = torch.arange(8.0).reshape(8, 1)
    real, generated = 2.0**24 - 16 + offsets, 2.0**24 - 16 + offsets.flip(0)[::2]
    expected = (generated.double().var() / real.double().var()).sqrt().item()
    assert value("residual_std_ratio", real, generated) == pytest.approx(expected, rel=1e-12)


def test_ratio_to_samples_without_deviation_is_not_finite():
    flat = torch.ones(3, 2)
    assert value("residual_std_ratio", flat, normal(3, 2)) == math.inf
    assert math.isnan(value("residual_std_ratio", flat, flat))
