"""The best field for Gaussian classes: what a perfect network would score with the same sampler and its few steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gentoolkit.paths import LINEAR, Field, Path, gaussian_velocity
from gentoolkit.protocols import Dataset
from gentoolkit.randomness import Permutation

#: Training samples for each class that means and deviations are taken from, where there are so many.
FIT_SAMPLES = 500


@dataclass(frozen=True)
class GaussianClasses:
    """Classes N(mean, std² I).

    Attributes:
        means: (K, *S) float32; K is 1 for data without labels.
        stds: The deviation of each class, per dimension; K numbers.
    """

    means: Tensor
    stds: tuple[float, ...]

    def field(self, path: Path = LINEAR) -> Field:
        """Return the optimal velocity of each class (`gentoolkit.paths.gaussian_velocity`); no network comes nearer.

        Its condition is labels (B,); of data with one class it is ignored.
        """

        def velocity(x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
            labels = _labels(condition, x, len(self.stds))
            v = torch.empty_like(x)
            for label in labels.unique().tolist():
                rows = labels == label
                v[rows] = gaussian_velocity(x[rows], t[rows], self.means[label].to(x), self.stds[label], path)
            return v

        return Field(velocity, path)


def fit_gaussian_classes(
    dataset: Dataset, num_classes: int = 1, *, seed: int, chunk: int = 256
) -> GaussianClasses | None:
    """Return mean and deviation of each class, from up to `FIT_SAMPLES` samples a class, drawn in a keyed order.

    A mean of n samples misses the true one by N(0, std² / n) in each dimension, that is 4.5 % of the deviation for
    n = 500, and samples drawn with it are off by as much. The deviation is the root of the unbiased variance, averaged
    over the dimensions (as in `class_residual_std`), here each class its own: the mean of the classes' optima
    (pi / 2) std is the optimum of the validation loss, and the field that reaches it takes each class at its own.

    Args:
        dataset: The training split: what is measured must not be what is fitted.
        num_classes: How many labels there are; with one, the condition is ignored.
        seed: What the order is keyed by.
        chunk: How many samples are read at once.

    Returns:
        The classes, or None where fewer than two samples of one were found.
    """
    count = min(len(dataset), FIT_SAMPLES * num_classes)
    order = Permutation(len(dataset), seed, "exact field")
    n = torch.zeros(num_classes, dtype=torch.float64)
    squares = torch.zeros(num_classes, dtype=torch.float64)
    sums = torch.zeros(num_classes, *dataset.batch(order(np.arange(1))).x1.shape[1:], dtype=torch.float64)
    for start in range(0, count, chunk):
        batch = dataset.batch(order(np.arange(start, min(start + chunk, count))))
        x1, labels = batch.x1.double(), _labels(batch.condition, batch.x1, num_classes)
        n += labels.bincount(minlength=num_classes)
        sums.index_add_(0, labels, x1)
        squares.index_add_(0, labels, x1.flatten(1).square().mean(dim=1))
    if n.min() < 2:
        return None
    means = sums / n.reshape(-1, *(1,) * (sums.ndim - 1))
    variances = (squares - n * means.flatten(1).square().mean(dim=1)) / (n - 1)
    return GaussianClasses(means.float(), tuple(variances.clamp(min=0).sqrt().tolist()))


def _labels(condition: Tensor | None, x: Tensor, num_classes: int) -> Tensor:
    if num_classes == 1:
        return torch.zeros(len(x), dtype=torch.int64, device=x.device)
    assert condition is not None
    return condition
