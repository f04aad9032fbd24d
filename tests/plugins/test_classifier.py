"""The features of a classifier, their cache, and class accuracy."""

import pytest
import torch

from building import built, config
from gentoolkit.api import DataSpec, Labels
from gentoolkit.protocols import Batch
from gentoolkit.testing.features import Split
from gentoolkit_features import cache
from gentoolkit_features import classifier as classifier_module

IMAGES = DataSpec((1, 8, 8), Labels(3))


def blobs(count, seed, shape=(1, 8, 8)):
    """Return noisy images, each with a bright row at a place that depends on its class, or vectors likewise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    x = torch.randn(count, *shape, generator=generator)
    for label in range(3):
        x[labels == label, ..., 2 * label] += 2.0
    return Batch(x, labels)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "gentoolkit" / "features"


def classifier(train, seed=0, spec=IMAGES, **fields):
    given = {"spec": spec, "seed": seed, "train": Split(train)}
    return built("features", "classifier", given, **({"steps": 60, "width": 8, "num_features": 16} | fields))


@pytest.mark.parametrize("shape", [(1, 8, 8), (8,)])
def test_it_learns_the_classes(shape):
    spec, held_out = DataSpec(shape, Labels(3)), blobs(300, 1, shape)
    features = classifier(blobs(300, 0, shape), spec=spec)
    assert features(held_out.x1).shape == (300, 16)
    accuracy = (features.classes(held_out.x1) == held_out.condition).double().mean().item()
    # The best rule, on 8 pixels for images, errs in less than 1 %; on one number for vectors, in about an eighth.
    assert accuracy > (0.95 if len(shape) == 3 else 0.6)


@pytest.mark.parametrize("threads", [1, 2])
def test_weights_do_not_depend_on_the_number_of_threads(threads, folder):
    first = classifier(blobs(100, 0)).state_dict()
    for file in folder.iterdir():
        file.unlink()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        second = classifier(blobs(100, 0)).state_dict()
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_weights_are_kept_for_equal_settings_and_data_alone(folder, monkeypatch):
    train = blobs(100, 0)
    first = classifier(train).state_dict()
    trained = []
    whole = type(classifier(train))._trained
    monkeypatch.setattr(type(classifier(train)), "_trained", lambda self, data: trained.append(1) or whole(self, data))
    second = classifier(train).state_dict()
    assert not trained
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    other = Batch(train.x1.clone(), train.condition)
    other.x1[99, 0, 7, 7] += 1e-6
    relabeled = Batch(train.x1, train.condition.flip(0))
    for change in ({"train": other}, {"train": relabeled}, {"seed": 1}, {"steps": 61}, {"width": 9}):
        classifier(**({"train": train} | change))
    assert len(trained) == 5
    assert len(list(folder.iterdir())) == 6


@pytest.mark.parametrize("damage", ["empty", "cut", "bit", "folder"])
def test_a_damaged_file_is_made_again(folder, damage):
    first = classifier(blobs(100, 0)).state_dict()
    (file,) = folder.iterdir()
    content = file.read_bytes()
    if damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        changed = {"empty": b"", "cut": content[:-9], "bit": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]}
        file.write_bytes(changed[damage])
    second = classifier(blobs(100, 0)).state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert damage == "folder" or file.read_bytes() == content
    assert [path.name for path in folder.iterdir()] == [file.name]


def test_without_a_writable_cache_the_weights_are_trained_each_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    first, second = (classifier(blobs(100, 0)).state_dict() for _ in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_cache_is_in_the_home_folder_by_default(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/somewhere")
    assert cache.folder().as_posix() == "/somewhere/.cache/gentoolkit/features"


def test_class_accuracy_is_the_share_that_the_classifier_recognizes():
    train, held_out = blobs(300, 0), blobs(300, 1)
    given = {"spec": IMAGES, "seed": 0, "train": Split(train)}
    fields = {"type": "classifier", "steps": 60, "width": 8, "num_features": 16}
    metric = built("metric", "class_accuracy", given, features=fields)
    right = metric.prepare(held_out.x1, held_out.condition)
    wrong = metric.prepare(held_out.x1, (held_out.condition + 1) % 3)
    assert metric.value(right, right) == right.mean().item() > 0.95
    assert metric.value(right, wrong) < 0.05


def test_labels_and_a_classifier_are_required():
    unlabeled = DataSpec((2,))
    (problem,) = config("features", "classifier").check(unlabeled)
    assert "no class labels; use pca or identity" in problem.message
    (problem,) = config("metric", "class_accuracy").check(unlabeled)
    assert "no class labels" in problem.message
    (problem,) = config("metric", "class_accuracy", features="pca").check(IMAGES)
    assert (problem.field, "classifier" in problem.message) == ("features", True)


def test_large_samples_are_read_in_small_batches(monkeypatch):
    counts, whole = [], Split.batch
    monkeypatch.setattr(Split, "batch", lambda self, rows: counts.append(len(rows)) or whole(self, rows))
    monkeypatch.setattr(classifier_module, "MOST_VALUES", 40 * 64)
    classifier(blobs(100, 0), steps=1)
    assert counts == [100, 40, 128]  # to hash all samples, in chunks; for the mean; and a training step
