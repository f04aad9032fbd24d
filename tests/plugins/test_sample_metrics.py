"""Metrics of the samples themselves: closed forms, SciPy, and what they are for."""

import math
import sys

import numpy as np
import pytest
import scipy.stats
import torch

from building import built, config
from gentoolkit.api import DataSpec, UsageError
from gentoolkit.protocols import Batch
from gentoolkit.randomness import numpy_generator
from gentoolkit.testing.features import Split
from gentoolkit_metrics import kernels, samples


def normal(*shape, stream=0):
    return torch.from_numpy(numpy_generator(7, "test", stream, *shape).standard_normal(shape))


def metric(name, dims, train=None, seed=0, **fields):
    given = {"spec": DataSpec((dims,)), "seed": seed, "train": None if train is None else Split(Batch(train))}
    return built("metric", name, given, **fields)


def value(name, real, other, **fields):
    made = metric(name, real.shape[1], **fields)
    return made.value(made.prepare(real, None), made.prepare(other, None))


def test_wasserstein_distance_of_a_shift_and_of_sets_on_a_line():
    real = normal(30, 3)
    assert value("wasserstein2", real, real.flip(0) + 2) == pytest.approx(math.sqrt(12), rel=1e-9)
    line, other = normal(20, 1), 2 * normal(20, 1, stream=1)
    expected = (line.sort(0).values - other.sort(0).values).square().mean().sqrt().item()
    assert value("wasserstein2", line, other) == pytest.approx(expected, rel=1e-9)


def test_wasserstein_distance_of_unequal_counts_splits_samples():
    real, other = torch.zeros(2, 1).double(), torch.tensor([[0.0], [1.0], [2.0]]).double()
    assert value("wasserstein2", real, other) == pytest.approx(math.sqrt((0 + 1 + 4) / 3), rel=1e-9)


def test_energy_distance_is_scipys_on_a_line():
    real, other = normal(40, 1), 1.5 * normal(30, 1, stream=1) + 0.5
    expected = scipy.stats.energy_distance(real[:, 0].numpy(), other[:, 0].numpy())
    assert value("energy_distance", real, other) == pytest.approx(expected, rel=1e-9)


def test_squared_mmd_is_unbiased_and_of_a_shift_in_closed_form():
    pairs = [(normal(40, 1, stream=2 * k), normal(40, 1, stream=2 * k + 1)) for k in range(200)]
    alike = np.array([value("squared_mmd", *pair) for pair in pairs])
    assert abs(alike.mean()) < 5 * alike.std() / math.sqrt(200)
    # For N(0, 1) and N(s, 1) on a line and the kernel exp(-d² / (2 h²)), where a difference d is N(0 or s, 2):
    # E k = sqrt(h² / (h² + 2)) exp(-m² / (2 (h² + 2))) for its mean m. The median of |d| is sqrt(2) q(3/4).
    h2, s = 2 * scipy.stats.norm.ppf(0.75) ** 2, 1.0
    expected = 2 * math.sqrt(h2 / (h2 + 2)) * (1 - math.exp(-(s**2) / (2 * (h2 + 2))))
    shifted = np.array([value("squared_mmd", real, other + s) for real, other in pairs])
    # Five standard errors; the median of 780 pairs is off by a few per cent, and so is h.
    assert shifted.mean() == pytest.approx(expected, abs=5 * shifted.std() / math.sqrt(200) + 0.02 * expected)


def test_c2st_is_a_half_for_equal_and_one_for_distant_sets():
    real, other = normal(60, 2), normal(60, 2, stream=1)
    fast = {"max_iterations": 100}
    # 120 decisions: the standard deviation of their mean is 0.046 if they are independent.
    assert abs(value("c2st", real, other, **fast) - 0.5) < 5 * 0.046
    assert value("c2st", real, other + 20, **fast) == 1.0


def test_c2st_does_not_depend_on_the_unit_of_a_dimension_nor_on_the_order_but_on_the_seed():
    real, other, scale = normal(60, 2), normal(60, 2, stream=1) + 0.5, torch.tensor([2.0**-10, 2.0**10]).double()
    fast = {"max_iterations": 20}
    expected = value("c2st", real, other, **fast)
    assert value("c2st", (real * scale)[torch.arange(59, -1, -1)], other * scale, **fast) == expected
    assert len({value("c2st", real, other, seed=seed, **fast) for seed in range(4)}) > 1


def test_c2st_with_a_dimension_that_never_changes():
    flat = torch.cat([normal(20, 1), torch.ones(20, 1)], 1)
    assert 0 <= value("c2st", flat, flat + 0.1, max_iterations=5) <= 1


def test_c2st_of_images_is_refused_with_what_to_use():
    (problem,) = config("metric", "c2st").check(DataSpec((3, 16, 16)))
    assert "at most 128 values, but samples have 768; use frechet_distance" in problem.message


@pytest.mark.parametrize(
    ("name", "fields", "module"),
    [
        ("wasserstein2", {}, "ot"),
        ("c2st", {}, "sklearn.neural_network"),
        ("frechet_distance", {"features": "identity", "covariance": "ledoit_wolf"}, "sklearn.covariance"),
    ],
)
def test_a_missing_package_is_named_with_its_cure(monkeypatch, name, fields, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=r"is not installed: pip install 'gentoolkit\[metrics\]'"):
        metric(name, 2, **fields)


def test_memorization_by_hand():
    train = torch.tensor([[0.0], [10.0]]).double()
    real, other = torch.tensor([[1.0], [8.0]]).double(), torch.tensor([[10.0], [1.0], [5.0]]).double()
    # Distances: 1, 2 of the real and 0, 1, 5 of the generated. Of six pairs, three are closer (0 < 1, 0 < 2, 1 < 2),
    # and one is a tie (1 = 1).
    assert value("memorization", real, other, train=train) == pytest.approx(3.5 / 6)


def test_memorization_of_copies_is_one_and_of_fresh_samples_a_half():
    train = normal(3000, 4)  # more than one chunk
    real, fresh = normal(400, 4, stream=1), normal(400, 4, stream=2)
    # Mann and Whitney: the variance for two sets of n equal distributions is (2 n + 1) / (12 n²); five deviations.
    assert value("memorization", real, fresh, train=train) == pytest.approx(0.5, abs=5 * math.sqrt(801 / 12) / 400)
    assert value("memorization", real, train[-400:], train=train) == 1.0


@pytest.mark.parametrize("name", ["energy_distance", "squared_mmd"])
def test_values_do_not_depend_on_how_many_pairs_are_compared_at_once(monkeypatch, name):
    real, other = normal(23, 2), normal(17, 2, stream=1) + 0.5
    expected = value(name, real, other)
    monkeypatch.setattr(samples, "PAIRS", 50)  # two or three rows
    assert value(name, real, other) == pytest.approx(expected, rel=1e-12)


def test_the_width_of_the_kernel_is_that_of_some_samples_in_any_order(monkeypatch):
    real, other = normal(400, 2), normal(400, 2, stream=1) + 0.5
    whole = value("squared_mmd", real, other)
    monkeypatch.setattr(kernels, "MOST", 100)
    few = value("squared_mmd", real, other)
    assert few == pytest.approx(value("squared_mmd", real.flip(0), other), rel=1e-12)
    # The median of the 4,950 distances of 100 samples is off by some per cent, and so is the value.
    assert few != whole
    assert few == pytest.approx(whole, rel=0.2)


def test_memorization_counts_exact_ties_as_a_half():
    train = normal(300, 8)  # so many that torch computes distances by products, which do not give 0 for copies
    copies, others = train[:50], train[100:150]
    assert value("memorization", copies, others, train=train) == 0.5
