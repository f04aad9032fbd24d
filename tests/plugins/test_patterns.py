"""The patterns, value by value."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from gentoolkit.api import Labels
from gentoolkit_patterns import PatternsConfig
from gentoolkit_patterns.dataset import Patterns, patterns


def test_clean_patterns_are_the_equations():
    clean, n = patterns(32), 32
    for row in range(0, n, 5):
        for column in range(0, n, 3):
            x, y = -np.pi + 2 * np.pi * column / (n - 1), -np.pi + 2 * np.pi * row / (n - 1)
            r2 = x * x + y * y
            expected = [np.sin(2 * x), np.sin(4 * y), np.exp(-r2 / 2) * np.cos(4 * np.sqrt(r2))]
            np.testing.assert_allclose(clean[[0, 1, 3], row, column], expected, atol=1e-12)
            if 0 < row < n - 1 and 0 < column < n - 1:
                assert clean[2, row, column] == np.sign(np.sin(3 * x) * np.sin(3 * y))


@pytest.mark.parametrize("size", [8, 32, 64])
def test_the_borders_of_class_2_continue_the_squares_beside_them(size):
    """sin(3 pi) is +3.7e-16 in float64, not 0, so a border has the sign of its neighbor and no value is 0."""
    squares = patterns(size)[2]
    assert set(np.unique(squares)) == {-1.0, 1.0}
    assert np.array_equal(squares[:, 0], squares[:, 1])
    assert np.array_equal(squares[:, -1], squares[:, -2])
    assert np.array_equal(squares[0], squares[1])
    assert np.array_equal(squares[-1], squares[-2])


def test_samples_are_scaled_and_labeled():
    data = Patterns(PatternsConfig(num_samples=40), "train", 42)
    batch = data.batch(np.arange(40))
    assert batch.x1.shape == (40, 4, 32, 32)
    assert batch.x1.dtype == torch.float32
    assert batch.condition.dtype == torch.int64
    assert batch.condition.tolist() == [i % 4 for i in range(40)]
    assert torch.equal(batch.x1.abs().amax((1, 2, 3)), torch.ones(40))


def test_without_noise_channels_differ_by_a_tenth():
    config = PatternsConfig(num_samples=4, noise_level=0.0, image_size=16)
    x1 = Patterns(config, "train", 0).batch(np.arange(4)).x1.double().numpy()
    clean = patterns(16)[:, None] + 0.1 * np.arange(4)[None, :, None, None]
    largest = np.abs(clean).max((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(x1, clean / largest, atol=1e-7)


def test_noise_has_the_stated_level():
    """Undo the scaling by least squares on the clean pattern: the residual's deviation is the noise level."""
    config = PatternsConfig(num_samples=400, noise_level=0.05)
    x1 = Patterns(config, "train", 1).batch(np.arange(400)).x1.double().flatten(1).numpy()
    clean = (patterns(32)[:, None] + 0.1 * np.arange(4)[None, :, None, None]).reshape(4, -1)[np.arange(400) % 4]
    scale = (x1 * clean).sum(1) / (clean * clean).sum(1)
    residual = x1 / scale[:, None] - clean
    # 400 · 4096 values: the standard error of a standard deviation is 0.05 / sqrt(2 n) = 2.8e-5; 5 of them, and as
    # much again for the error of the fitted scale (relative 0.05 / |clean| / sqrt(4096), about 1e-3).
    assert residual.std() == pytest.approx(0.05, abs=3e-4)


def test_a_sample_depends_on_seed_and_index_alone():
    config = PatternsConfig(num_samples=16, image_size=8)
    data, larger = Patterns(config, "train", 7), Patterns(PatternsConfig(num_samples=99, image_size=8), "train", 7)
    whole = data.batch(np.arange(16)).x1
    assert torch.equal(data.batch(np.array([11, 2])).x1, whole[[11, 2]])
    assert torch.equal(larger.batch(np.arange(16)).x1, whole)
    assert not torch.equal(Patterns(config, "train", 8).batch(np.arange(16)).x1, whole)


def test_held_out_samples_are_the_indices_after_the_training_ones():
    train = Patterns(PatternsConfig(num_samples=100, image_size=8), "train", 7)
    held_out = Patterns(PatternsConfig(num_samples=18, image_size=8), "held_out", 7)
    later = train.batch(np.arange(18, 30))
    assert torch.equal(held_out.batch(np.arange(12)).x1, later.x1)
    assert torch.equal(held_out.batch(np.arange(12)).condition, later.condition)


@pytest.mark.parametrize(("asked", "given"), [(2000, 2000), (2003, 2000), (4, 4)])
def test_every_class_has_a_quarter_of_the_samples(asked, given):
    data = Patterns(PatternsConfig(num_samples=asked, image_size=4), "train", 0)
    assert len(data) == given
    assert torch.bincount(data.batch(np.arange(given)).condition).tolist() == [given // 4] * 4


def test_another_number_of_classes_is_an_error():
    with pytest.raises(ValidationError, match="there are 4 patterns"):
        PatternsConfig(num_classes=5)


def test_defaults_are_the_stated_ones():
    spec = PatternsConfig().spec()
    assert (spec.shape, spec.condition, spec.value_range) == ((4, 32, 32), Labels(4), (-1.0, 1.0))
    assert spec.colormap == "viridis"
    assert (PatternsConfig().num_samples, PatternsConfig().noise_level) == (2000, 0.05)
