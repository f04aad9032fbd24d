"""The shipped sources and points, against their definitions."""

import numpy as np
import pytest
import torch

from building import built
from gentoolkit.api import DataSpec, UsageError
from gentoolkit.randomness import integer_rows, normal_rows

PLANE = DataSpec((2,))


def of_points(**fields):
    return built(
        "source", "dataset", {"spec": PLANE, "split": "train", "seed": 3}, dataset={"type": "points", **fields}
    )


def points(split="train", seed=3, **fields):
    return built("dataset", "points", {"split": split, "seed": seed}, **fields)


def everything(dataset):
    return dataset.batch(np.arange(len(dataset)))


def test_gaussian_noise_is_that_of_its_key():
    source = built("source", "gaussian", {"spec": DataSpec((3, 4))})
    assert torch.equal(source.draw(5, "source", np.array([7, 2])), normal_rows(5, "source", np.array([7, 2]), (3, 4)))


def test_the_samples_of_a_dataset_are_all_drawn_equally_often_and_any_number_of_times():
    fields = {"shape": "eight_gaussians", "num_samples": 50}
    drawn, known = of_points(**fields).draw(0, "training", np.arange(50_000)), everything(points(**fields)).x1
    index = (drawn[:, None] == known).all(2)
    assert index.sum(1).eq(1).all()
    # 1,000 of each: a binomial deviation of 31.3, six of them for fifty counts.
    assert (index.sum(0) - 1000).abs().max() < 6 * 31.3


def test_a_source_has_the_seed_of_its_run():
    given = {"spec": PLANE, "split": "train"}
    one, other = (built("source", "dataset", {**given, "seed": s}, dataset="points").dataset for s in (0, 1))
    assert not torch.equal(everything(one).x1, everything(other).x1)


def test_a_source_without_samples_is_refused():
    from gentoolkit_sources.sources import DatasetSource

    with pytest.raises(UsageError, match="its dataset has no training samples; use one with at least one"):
        DatasetSource(None, PLANE, [])


def test_integers_are_uniform_and_keyed():
    rows = np.arange(60_000)
    drawn = integer_rows(1, "test", rows, 6)
    assert np.bincount(drawn).tolist() == pytest.approx([10_000] * 6, abs=5 * (60_000 * 5 / 36) ** 0.5)
    assert np.array_equal(integer_rows(1, "test", rows[::-7], 6), drawn[::-7])
    assert integer_rows(1, "test", rows[:1000], 2**40).max() > 2**39  # 2^-1000 by chance


@pytest.mark.parametrize("shape", ["moons", "eight_gaussians", "checkerboard", "rings"])
def test_points_have_balanced_labels_and_lie_on_their_shape(shape):
    batch = everything(points(shape=shape, labels=True, noise=0.0, num_samples=8000))
    x, parts = batch.x1, batch.condition.max().item() + 1
    expected = 8000 / parts
    assert (batch.condition.bincount() - expected).abs().max() < 5 * expected**0.5
    label = batch.condition.float()
    distance = {
        "moons": lambda: (x - torch.stack([1.5 * label - 0.75, 0.75 * label - 0.375], 1)).norm(dim=1) - 1.5,
        "rings": lambda: x.norm(dim=1) - 1 - label,
        "eight_gaussians": lambda: x.norm(dim=1) - 2.5,
        "checkerboard": lambda: (x.floor().sum(1) % 2) * 1.0,
    }[shape]()
    assert distance.abs().max() < 1e-5
    assert x.norm(dim=1).max() < 3


def test_each_moon_reaches_into_the_other():
    batch = everything(points(labels=True, noise=0.0))
    upper, lower = (batch.x1[batch.condition == label] for label in (0, 1))
    assert upper[:, 1].max() > lower[:, 1].max()  # it arches over the other's end,
    assert upper[:, 1].min() < lower[:, 1].max()  # and its own end lies below that
    assert upper[:, 0].max() > lower[:, 0].min()


def test_the_noise_of_points_has_the_deviation_of_the_recipe():
    clean, noisy = (everything(points(noise=noise, num_samples=20_000)).x1 for noise in (0.0, 0.3))
    # 40,000 numbers: a relative deviation of 1 / sqrt(80,000).
    assert (noisy - clean).std().item() == pytest.approx(0.3, rel=5 / 80_000**0.5)


def test_points_without_labels_are_the_same_points():
    with_labels, without = (everything(points(labels=labels)) for labels in (True, False))
    assert torch.equal(with_labels.x1, without.x1)
    assert without.condition is None


def test_splits_and_seeds_differ():
    splits = [everything(data).x1 for data in (points(), points("held_out"), points(seed=4))]
    assert len(torch.cat(splits).unique(dim=0)) == 30_000
