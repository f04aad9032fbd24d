"""The shapes in the plane, against their definitions."""

import numpy as np
import pytest
import torch

from building import built, config
from gentoolkit.evaluation import reference_field


def points(split="train", seed=3, **fields):
    return built("dataset", "points", {"split": split, "seed": seed}, **fields)


def everything(dataset):
    return dataset.batch(np.arange(len(dataset)))


def angles(x):
    return torch.atan2(x[:, 1], x[:, 0])


def from_turn(x):
    """Return how far angles are from the nearest whole turn."""
    return (x + torch.pi) % (2 * torch.pi) - torch.pi


#: For points without noise and their labels: the distance from the shape, or a multiple of it.
DISTANCES = {
    "moons": lambda x, label: (x - torch.stack([1.5 * label - 0.75, 0.75 * label - 0.375], 1)).norm(dim=1) - 1.5,
    "rings": lambda x, label: x.norm(dim=1) - 1 - label,
    "eight_gaussians": lambda x, label: x.norm(dim=1) - 2.5,
    "checkerboard": lambda x, label: (x.floor().sum(1) % 2) * 1.0,
    "swiss_roll": lambda x, label: from_turn(angles(x) - 1.5 * torch.pi * x.norm(dim=1)),
    "s_curve": lambda x, label: (x - torch.stack([0 * label, 1.25 * (2 * label - 1)], 1)).norm(dim=1) - 1.25,
    "pinwheel": lambda x, label: from_turn(angles(x) - 0.4 * torch.pi * label - (x.norm(dim=1) - 0.5) / 1.5),
}


@pytest.mark.parametrize("shape", DISTANCES)
def test_points_have_balanced_labels_and_lie_on_their_shape(shape):
    batch = everything(points(shape=shape, labels=shape != "swiss_roll", noise=0.0, num_samples=8000))
    labels = torch.zeros(8000, dtype=torch.int64) if batch.condition is None else batch.condition
    expected = 8000 / (labels.max().item() + 1)
    assert (labels.bincount() - expected).abs().max() < 5 * expected**0.5
    # float32 rounding of angles up to 4.5 pi: 1e-6, and of their functions
    assert DISTANCES[shape](batch.x1, labels.float()).abs().max() < 1e-5
    assert 1.9 < batch.x1.norm(dim=1).max() < 3 + 1e-5


def test_each_moon_reaches_into_the_other():
    batch = everything(points(labels=True, noise=0.0))
    upper, lower = (batch.x1[batch.condition == label] for label in (0, 1))
    assert upper[:, 1].max() > lower[:, 1].max()  # it arches over the other's end,
    assert upper[:, 1].min() < lower[:, 1].max()  # and its own end lies below that
    assert upper[:, 0].max() > lower[:, 0].min()


def test_the_arcs_of_the_s_meet_and_open_to_the_right_above_and_to_the_left_below():
    batch = everything(points(shape="s_curve", labels=True, noise=0.0))
    lower, upper = (batch.x1[batch.condition == label] for label in (0, 1))
    for arc in (lower, -upper):
        assert arc.norm(dim=1).min() < 0.01  # 5,000 points on an arc of length 5.9
        missing = (arc[:, 0] < -0.01) & (arc[:, 1] > -1.24)  # the quarter of the circle that is open
        assert not missing.any()


def test_the_noise_of_points_has_the_deviation_of_the_recipe():
    clean, noisy = (everything(points(noise=noise, num_samples=20_000)).x1 for noise in (0.0, 0.3))
    # 40,000 numbers: a relative deviation of 1 / sqrt(80,000).
    assert (noisy - clean).std().item() == pytest.approx(0.3, rel=5 / 80_000**0.5)


def test_points_without_labels_are_the_same_points():
    with_labels, without = (everything(points(labels=labels)) for labels in (True, False))
    assert torch.equal(with_labels.x1, without.x1)
    assert without.condition is None


def test_a_shape_of_one_part_has_no_labels():
    with pytest.raises(ValueError, match="swiss_roll has only one part, so its points have no labels; remove labels"):
        config("dataset", "points", shape="swiss_roll", labels=True)


def test_splits_and_seeds_differ():
    splits = [everything(data).x1 for data in (points(), points("held_out"), points(seed=4))]
    assert len(torch.cat(splits).unique(dim=0)) == 30_000


@pytest.mark.parametrize("labels", [False, True])
def test_only_eight_gaussians_know_their_exact_field(labels):
    found = {
        shape: reference_field(points(shape=shape, labels=labels), 8 if labels else 1, gaussian=False, seed=0)
        for shape in ("eight_gaussians", "moons")
    }
    assert found["eight_gaussians"].name == "exact field"
    assert found["moons"] is None


def test_the_mixture_of_eight_gaussians_is_that_of_their_samples():
    data = points(shape="eight_gaussians", labels=True, noise=0.2, num_samples=20_000)
    batch, mixture = everything(data), data.mixture
    deviations = (batch.x1 - mixture.means[batch.condition]) / mixture.variances[batch.condition].sqrt()
    # 40,000 standard normal numbers: deviations of 1 / 200 for the mean, sqrt(2) / 200 for the mean square; five each.
    assert deviations.mean().abs() < 5 / 200
    assert abs(deviations.square().mean() - 1) < 5 * 2**0.5 / 200
