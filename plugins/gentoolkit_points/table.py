"""Points as a table."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gentoolkit.protocols import Batch


class Table:
    """Points of one split, and their labels.

    Args:
        points: (N, D) float32.
        labels: (N,) int64, or None.
    """

    def __init__(self, points: Tensor, labels: Tensor | None) -> None:
        self.points, self.labels = points, labels

    def __len__(self) -> int:
        return len(self.points)

    def batch(self, indices: np.ndarray) -> Batch:
        """Return points (B, D) float32, and labels (B,) int64 if there are any."""
        chosen = torch.from_numpy(np.asarray(indices, dtype=np.int64))
        return Batch(self.points[chosen], None if self.labels is None else self.labels[chosen])


def split_rows(num_samples: int, split: str) -> np.ndarray:
    """Return the numbers of a split's samples: held-out ones follow those for training."""
    return np.arange(num_samples) + (0 if split == "train" else num_samples)
