"""Whether generated samples are closer to the training data than other real samples are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gentoolkit.api import DataSpec, MetricConfig
from gentoolkit.protocols import Dataset

from .samples import as_rows, need

#: Number of training samples that are compared at once.
CHUNK = 1024


class Memorization:
    """P(d(generated) < d(real)), where d is the distance to the nearest training sample; half of it for ties.

    Meehan et al. 2020, arXiv:2004.05675, Sec. 3: the statistic of Mann and Whitney as a probability. Above 1/2, the
    generated samples are closer to the training data than held-out ones are: a model that copies has 1.
    """

    optimum = 0.5
    sees = frozenset({"shift", "scale"})
    invariances = frozenset({"permutation"})

    def __init__(self, config: MetricConfig, spec: DataSpec, seed: int, train: Dataset) -> None:
        starts = range(0, len(train), CHUNK)
        chunks = (train.batch(np.arange(start, min(start + CHUNK, len(train)))).x1 for start in starts)
        self.train = torch.cat([chunk.flatten(1) for chunk in chunks])

    def prepare(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Return the distance of each sample to its nearest training sample, (N, 1) float64."""
        rows = as_rows(x)
        found = [_nearest(rows, as_rows(chunk)) for chunk in self.train.split(CHUNK)]
        return torch.stack(found).amin(0)[:, None]

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the probability. ValueError: There are no samples."""
        need(1, real, other)
        ordered, found = real[:, 0].sort().values, other[:, 0].contiguous()
        not_above = torch.searchsorted(ordered, found, right=True) + torch.searchsorted(ordered, found)
        return 1 - not_above.double().mean().item() / (2 * len(real))


def _nearest(rows: Tensor, others: Tensor) -> Tensor:
    """Return the distance of each row to the nearest of the others, (N,).

    Distances by products are quick but lose digits, so they only choose the nearest. Its distance is a difference:
    exactly 0 for copies, and equal for ties.
    """
    return (rows - others[torch.cdist(rows, others).argmin(1)]).norm(dim=1)
