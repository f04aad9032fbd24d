"""The points of a table, held in memory."""

from __future__ import annotations

import numpy as np
import torch

from gentoolkit.datafiles import split_rows
from gentoolkit.protocols import Batch

from . import TableConfig
from .rows import read


class Table:
    """Points of one split, in a random order that is always the same.

    Args:
        config: The dataset's config.
        split: "train" or "held_out".
        seed: Not used: the split depends on the points alone.

    Raises:
        UsageError: See `read`.
    """

    def __init__(self, config: TableConfig, split: str, seed: int) -> None:
        rows = read(config)
        chosen = split_rows(rows.positions, config.held_out, split, "rows")
        self.points = torch.frombuffer(rows.points, dtype=torch.float32).view(-1, rows.width)[chosen]
        self.condition = None
        if config.label is not None:
            self.condition = torch.frombuffer(rows.labels, dtype=torch.int64)[chosen]
        elif config.conditions:
            columns = torch.frombuffer(rows.conditions, dtype=torch.float32).view(len(rows.positions), -1)
            self.condition = columns[chosen]

    def __len__(self) -> int:
        return len(self.points)

    def batch(self, indices: np.ndarray) -> Batch:
        """Return points (B, D) float32, and labels (B,) int64 or conditions (B, number of columns) float32 if any."""
        chosen = torch.from_numpy(np.asarray(indices, dtype=np.int64))
        return Batch(self.points[chosen], None if self.condition is None else self.condition[chosen])
