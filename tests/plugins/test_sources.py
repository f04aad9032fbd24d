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
