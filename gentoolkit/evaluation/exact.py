"""Reference fields: the exact field if the distribution of the data is known, or the field of a Gaussian model.

The validation loss of the exact field is the optimum: apart from chance with finitely many samples, no network has a
smaller one. The loss of a Gaussian model of each class is an upper bound of the optimum. The error of the field
mu + c(t) (x_t - t mu) is (1 - t c) (x1 - mu) - (1 + (1 - t) c) x0. Its mean square depends on the data only through
the mean squared deviation from mu. With the c of `gentoolkit.paths.gaussian_velocity` it is std² / D(t) for any data;
if the classes are not N(mu, std² I), a better field exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gentoolkit.fields import Field
from gentoolkit.paths import LINEAR, Path, gaussian_velocity
from gentoolkit.protocols import Dataset, KnownPosterior
from gentoolkit.randomness import Permutation

#: Average number of training samples per class to estimate means and standard deviations from.
FIT_SAMPLES = 500
#: The exact field is constant in t beyond this time, since it has a pole at t = 1 if the data fills no volume.
LAST_TIME = 0.999


class Reference(NamedTuple):
    """A field to compare a network with.

    Attributes:
        name: The name of the field.
        explanation: One sentence on what it is.
        field: The field.
    """

    name: str
    explanation: str
    field: Field


def reference_field(
    dataset: Dataset, num_classes: int = 1, *, gaussian: bool, seed: int, path: Path = LINEAR
) -> Reference | None:
    """Return the exact field if the dataset defines it (`KnownPosterior`), or else that of a Gaussian model per class.

    Args:
        dataset: The training split, since the evaluation must not use the samples of the fit.
        num_classes: Number of labels. With one, the condition is ignored.
        gaussian: Whether the classes are approximately Gaussian. If not, and without an exact field, return None.
        seed: Seed for choosing the samples that the Gaussian model is fitted to.
        path: The path of the field.
    """
    if isinstance(dataset, KnownPosterior):
        text = (
            "The best possible field, computed from the known distribution of the data: what a perfect network learns."
        )
        return Reference("exact field", text, exact_field(dataset, path))
    classes = fit_gaussian_classes(dataset, num_classes, seed=seed) if gaussian else None
    if classes is None:
        return None
    text = (
        "The best field for a Gaussian model of each class, N(mean, std² I), fitted to training samples. Its loss is "
        "an upper bound of the smallest possible loss: if the classes are not exactly Gaussian, a better field exists."
    )
    return Reference("Gaussian model", text, classes.field(path))


def exact_field(data: KnownPosterior, path: Path = LINEAR) -> Field:
    """Return the best velocity on a path, which follows from E[x1 | x_t]. It is computed in float64 on the CPU."""

    def velocity(x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        x_t, times = x.cpu().double(), t.cpu().double().clamp(max=LAST_TIME)
        alpha, sigma = path.alpha(times), path.sigma(times)
        x1 = data.denoised(x_t, alpha, sigma, None if condition is None else condition.cpu())
        return path.velocity_from_denoised(x1, x_t, times).to(x)

    return Field(velocity, path)


@dataclass(frozen=True)
class GaussianClasses:
    """Classes N(mean, std² I).

    Attributes:
        means: Mean of each class, (K, *S) float32. K is 1 for data without labels.
        stds: Standard deviation of each class, per dimension; K numbers.
    """

    means: Tensor
    stds: tuple[float, ...]

    def field(self, path: Path = LINEAR) -> Field:
        """Return the best velocity for each class (`gentoolkit.paths.gaussian_velocity`).

        The condition of the field is labels (B,). With a single class it is ignored.
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
    """Estimate the mean and standard deviation of each class, from about `FIT_SAMPLES` samples per class.

    The mean of n samples differs from the true mean by N(0, std² / n) in each dimension, or 4.5 % of the standard
    deviation for n = 500, which increases the relative loss by at most 1 / n. The standard deviation is the square root
    of the unbiased variance, averaged over the dimensions. It is estimated for each class, because the loss at a given
    t is not linear in it, so an average over the classes would be wrong.

    Args:
        dataset: The training split, since the evaluation must not use the samples of the fit.
        num_classes: Number of labels. With one, the condition is ignored.
        seed: Seed for choosing the samples.
        chunk: Number of samples to read at once.

    Returns:
        The classes, or None if fewer than two samples of a class were found.
    """
    count = min(len(dataset), FIT_SAMPLES * num_classes)
    order = Permutation(len(dataset), seed, "exact field")
    n = torch.zeros(num_classes, dtype=torch.float64)
    squares = torch.zeros(num_classes, dtype=torch.float64)
    sums = torch.zeros(num_classes, *dataset.batch(order(np.arange(1))).x1.shape[1:], dtype=torch.float64)
    for start in range(0, count, chunk):
        batch = dataset.batch(order(np.arange(start, min(start + chunk, count))))
        x1 = batch.x1.cpu().double()  # encoded samples may be on another device
        labels = _labels(batch.condition, x1, num_classes)
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
