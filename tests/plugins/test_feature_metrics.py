"""Metrics of features, on the identity: closed forms, hand-made cases, and what is refused."""

import math

import numpy as np
import pytest
import torch

from building import built
from gentoolkit.api import DataSpec
from gentoolkit.randomness import numpy_generator
from gentoolkit_metrics import samples
from gentoolkit_metrics.frechet import frechet_distance


def normal(*shape, stream=0):
    return torch.from_numpy(numpy_generator(7, "test", stream, *shape).standard_normal(shape))


def metric(name, dims, **fields):
    given = {"spec": DataSpec((dims,)), "seed": 0, "train": None}
    return built("metric", name, given, **({"features": "identity"} | fields))


def value(name, real, other, **fields):
    made = metric(name, real.shape[1], **fields)
    return made.value(made.prepare(real, None), made.prepare(other, None))


def test_frechet_distance_of_gaussians_in_closed_form():
    # Diagonal covariances commute: the distance is |m - m'|² + sum (s - s')² for standard deviations s and s'.
    mean, other = torch.tensor([1.0, 2.0, 3.0]).double(), torch.tensor([0.0, 2.0, 5.0]).double()
    s, t = torch.tensor([1.0, 2.0, 0.0]).double(), torch.tensor([3.0, 1.0, 1.0]).double()
    found = frechet_distance(mean, s.square().diag(), other, t.square().diag())
    assert found == pytest.approx(1 + 4 + (4 + 1 + 1), rel=1e-12)


def test_frechet_distance_of_a_shift_and_of_a_rotation():
    real = normal(50, 4)
    assert value("frechet_distance", real, real + 2) == pytest.approx(16, rel=1e-9)
    rotation, _ = torch.linalg.qr(normal(4, 4, stream=2))
    other = 2 * normal(60, 4, stream=1) + 1
    turned = value("frechet_distance", real @ rotation, other @ rotation)
    assert turned == pytest.approx(value("frechet_distance", real, other), rel=1e-9)


def test_the_bias_of_the_frechet_distance_falls_as_one_over_n():
    """The declared `bias_order`, against the mean over 100 pairs of sets for 64 and 128 samples."""

    def mean(count):
        pairs = ((normal(count, 8, stream=2 * k), normal(count, 8, stream=2 * k + 1)) for k in range(100))
        values = np.array([value("frechet_distance", *pair) for pair in pairs])
        return values.mean(), values.std() / 10

    (few, few_error), (many, many_error) = mean(64), mean(128)
    order = math.log2(few / many)
    # Five standard errors, and 0.1 for the next order of the bias, D / n = 1 / 8 of it.
    error = math.hypot(few_error / few, many_error / many) / math.log(2)
    assert abs(order - metric("frechet_distance", 8).bias_order) < 5 * error + 0.1


def test_too_few_samples_for_the_covariance_are_refused_or_shrunk():
    real, other = normal(4, 4), normal(4, 4, stream=1)
    with pytest.raises(ValueError, match="4 samples can't determine the covariance of 4 features; expected at least 5"):
        value("frechet_distance", real, other)
    assert math.isfinite(value("frechet_distance", real, other, covariance="ledoit_wolf"))


def test_kernel_distance_by_hand():
    real, other = torch.tensor([[0.0], [1.0]]).double(), torch.tensor([[2.0], [-1.0]]).double()
    # k(a, b) = (a b + 1)³. Within real: k(0, 1) = 1; within the others: k(2, -1) = -1; between: 1, 1, 27 and 0.
    assert value("kernel_distance", real, other) == pytest.approx(1 - 1 - 2 * 29 / 4)


def test_kernel_distance_is_unbiased():
    pairs = ((normal(8, 3, stream=2 * k), normal(8, 3, stream=2 * k + 1)) for k in range(400))
    values = np.array([value("kernel_distance", *pair) for pair in pairs])
    assert abs(values.mean()) < 5 * values.std() / 20


LINE = torch.arange(6.0).double()[:, None]  # with two neighbors, the radii are 2, 1, 1, 1, 1, 2


def test_neighbors_by_hand():
    other = torch.tensor([[0.5], [2.25], [20.0], [21.0]]).double()  # their radii are 19.5, 17.75, 17.75 and 18.75
    of = {name: value(name, LINE, other, neighbors=2) for name in ("precision", "recall", "density", "coverage")}
    # 0.5 lies in the balls of 0 and 1, 2.25 in those of 2 and 3.
    assert of == {"precision": 0.5, "recall": 1.0, "density": 4 / (2 * 4), "coverage": 4 / 6}


def test_recall_is_the_precision_with_exchanged_sides():
    real, other = normal(40, 3), 0.5 * normal(30, 3, stream=1)
    assert value("recall", real, other) == value("precision", other, real) < value("precision", real, other)


@pytest.mark.parametrize("name", ["density", "coverage"])
def test_expected_density_and_coverage_of_equal_distributions_do_not_depend_on_the_data(name):
    n, k = 30, 3
    pairs = ((normal(n, 2, stream=2 * i).exp(), normal(n, 2, stream=2 * i + 1).exp()) for i in range(300))
    values = np.array([value(name, *pair, neighbors=k) for pair in pairs])
    # Naeem et al. 2020: E density = 1; E coverage = 1 - prod_j (n - 1 - j) / (2 n - 1 - j) over j < k.
    expected = 1 if name == "density" else 1 - math.prod((n - 1 - j) / (2 * n - 1 - j) for j in range(k))
    assert abs(values.mean() - expected) < 5 * values.std() / math.sqrt(300)
    if name == "coverage":
        assert metric(name, 2, neighbors=k).optimum == pytest.approx(expected, abs=k / n)


def test_too_few_neighbors_are_refused():
    with pytest.raises(ValueError, match="5 neighbors need at least 6 samples; got 5 real and 9 generated"):
        value("coverage", normal(5, 2), normal(9, 2))


@pytest.mark.parametrize("name", ["kernel_distance", "precision", "recall", "density", "coverage"])
def test_values_do_not_depend_on_how_many_pairs_are_compared_at_once(monkeypatch, name):
    real, other = normal(23, 2), 0.7 * normal(17, 2, stream=1) + 0.5
    expected = value(name, real, other)
    monkeypatch.setattr(samples, "PAIRS", 50)  # two or three rows
    assert value(name, real, other) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["precision", "recall"])
def test_copies_of_samples_that_repeat_are_realistic_and_diverse(name):
    real = torch.arange(3.0).double().repeat(4)[:, None]  # each value is there four times, so all radii are 0
    assert value(name, real, real, neighbors=3) == 1.0
    assert value(name, real, real + 0.5, neighbors=3) == 0.0
