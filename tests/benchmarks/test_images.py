import numpy as np
import torch

from benchmarks import images
from gentoolkit.api import DataFolder
from gentoolkit_images import ImageFolderConfig
from gentoolkit_images.dataset import ImageFolder


def test_both_contenders_see_nearly_the_same_images(tmp_path):
    folder = images.write(tmp_path / "images", 20, images.SMALL)
    theirs = images.Folder(folder)
    ours = ImageFolder(ImageFolderConfig(folder=DataFolder(str(folder)), held_out=0.5), "train", 0)
    x = ours.batch(np.arange(len(ours))).x1
    expected = torch.stack([theirs[[file.name for file in theirs.files].index(name)] for name in ours.names])
    # Bicubic or bilinear, after a decoding at half the size or not: measured 0.04 on average
    assert (x - expected).abs().mean() < 0.08


def test_both_read_all_images(tmp_path):
    folder = images.write(tmp_path / "images", 200, images.SMALL)
    images.ours(folder)()
    images.torchs(folder)()


def test_waiting_is_a_share_of_the_step(tmp_path, monkeypatch):
    row = images.waiting(images.write(tmp_path / "images", 200, images.SMALL), rounds=1, steps=1)
    assert 0 < row.median < 1
