"""Fields to hold a network against: the exact one where the data's distribution is known, or a Gaussian model's.

The validation loss of the exact field is the optimum: no network has a smaller one, but for the chance of finitely
many samples. That of a Gaussian model of each class is an upper bound of the optimum. The field mu + c(t) (x_t - t
mu) errs by (1 - t c) (x1 - mu) - (1 + (1 - t) c) x0, whose mean square depends on the data through the mean squared
deviation from mu only; with `gentoolkit.paths.gaussian_velocity`'s c it is std² / D(t), whatever else the data is
like, and a better field exists where the classes are not N(mu, std² I).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gentoolkit.paths import LINEAR, Field, Path, gaussian_velocity
from gentoolkit.protocols import Dataset, KnownPosterior
from gentoolkit.randomness import Permutation

#: Training samples for each class that means and standard deviations are taken from, where there are so many.
FIT_SAMPLES = 500
#: The exact field beyond this time is that at it: a field has a pole at t = 1 where the data fills no volume.
LAST_TIME = 0.999


class Reference(NamedTuple):
    """A field to hold a network against.

    Attributes:
        name: What it is called.
        explanation: What it is, in a sentence.
        field: The field.
    """

    name: str
    explanation: str
    field: Field


def reference_field(
    dataset: Dataset, num_classes: int = 1, *, gaussian: bool, seed: int, path: Path = LINEAR
) -> Reference | None:
    """Return the exact field where the data knows it (`KnownPosterior`), else that of a Gaussian model of each class.

    Args:
        dataset: The training split: what is measured must not be what is fitted.
        num_classes: How many labels there are; with one, the condition is ignored.
        gaussian: Whether the classes are about Gaussian. Without that, and without an exact field, there is none.
        seed: Keys the choice of the samples that the Gaussian model is fitted to.
        path: The path of the field.
    """
    if isinstance(dataset, KnownPosterior):
        text = (
            "The best field there is, computed from the known distribution of the data: what a perfect network learns."
        )
        return Reference("exact field", text, exact_field(dataset, path))
    classes = fit_gaussian_classes(dataset, num_classes, seed=seed) if gaussian else None
    if classes is None:
        return None
    text = (
        "The best field for a Gaussian model of each class, N(mean, std² I), fitted to training samples. Where the "
        "classes are not exactly so, a better field exists, and its loss is an upper bound of the smallest one."
    )
    return Reference("Gaussian model", text, classes.field(path))


def exact_field(data: KnownPosterior, path: Path = LINEAR) -> Field:
    """Return the best velocity along the path: the one that belongs to E[x1 | x_t], in float64 on the CPU."""

    def velocity(x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        x_t, times = x.cpu().double(), t.cpu().double().clamp(max=LAST_TIME)
        alpha, sigma = path.coefficients.alpha(times), path.coefficients.sigma(times)
        x1 = data.denoised(x_t, alpha, sigma, None if condition is None else condition.cpu())
        return path.velocity_from_denoised(x1, x_t, times).to(x)

    return Field(velocity, path)


@dataclass(frozen=True)
class GaussianClasses:
    """Classes N(mean, std² I).

    Attributes:
        means: (K, *S) float32; K is 1 for data without labels.
        stds: The standard deviation of each class, per dimension; K numbers.
    """

    means: Tensor
    stds: tuple[float, ...]

    def field(self, path: Path = LINEAR) -> Field:
        """Return the best velocity for each class (`gentoolkit.paths.gaussian_velocity`).

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
    """Return mean and standard deviation of each class, from up to `FIT_SAMPLES` samples a class in a keyed order.

    A mean of n samples misses the true one by N(0, std² / n) in each dimension, that is by 4.5 % of the standard
    deviation for n = 500, which adds at most 1 / n to the relative loss. The standard deviation is the root of the
    unbiased variance, averaged over the dimensions, for each class by itself: the loss is not linear in it at any one
    time t, so a mean over the classes would not do.

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
