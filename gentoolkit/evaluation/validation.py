"""The loss of a velocity field on held-out data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gentoolkit.errors import GentoolError, UsageError
from gentoolkit.evaluation.metrics import finite
from gentoolkit.fields import Field
from gentoolkit.protocols import Dataset
from gentoolkit.randomness import Permutation, normal_rows

#: Number of equal bins of t in [0, 1] for which the validation loss is reported.
TIME_BINS = 10


@dataclass(frozen=True)
class ValidationLoss:
    """Mean squared velocity error per dimension on held-out data.

    Attributes:
        errors: The error of each sample, in order of time: sample k of n has t = (k + 0.5) / n.
        path: The name of the path. Losses on different paths are not comparable, since the velocities differ.
    """

    errors: NDArray[np.float64] = field(repr=False, compare=False)
    path: str

    @property
    def loss(self) -> float:
        """The mean over all samples."""
        return float(self.errors.mean())

    @property
    def loss_by_t(self) -> tuple[float | None, ...]:
        """The mean in each of `TIME_BINS` equal bins of t in [0, 1]; None for bins without samples."""
        n = len(self.errors)
        bins = (2 * np.arange(n) + 1) * TIME_BINS // (2 * n)  # bins of t = (k + 0.5) / n, without rounding at the edges
        parts = [self.errors[bins == k] for k in range(TIME_BINS)]
        return tuple(float(part.mean()) if part.size else None for part in parts)

    def excess_over(self, other: ValidationLoss) -> tuple[float, float]:
        """Return the difference between this loss and another on the same samples, and its standard error.

        Times and noise are the same too, so most of the randomness in the two losses cancels. The times are stratified,
        so the variance is estimated from differences of neighbors in time, which excludes the change of the excess over
        time: error² = sum_k (d_(k+1) - d_k)² / (2 n (n - 1)) (von Neumann 1941, doi:10.1214/aoms/1177731677).

        Raises:
            GentoolError: The losses have different paths or numbers of samples.
        """
        if (self.path, len(self.errors)) != (other.path, len(other.errors)):
            raise GentoolError(
                f"a loss on {len(self.errors)} samples and the path {self.path} cannot be compared with one on "
                f"{len(other.errors)} samples and the path {other.path}; evaluate both in the same way"
            )
        excess = self.errors - other.errors
        n = len(excess)
        squares = float((np.diff(excess) ** 2).sum())
        return float(excess.mean()), math.sqrt(squares / (2 * n * (n - 1))) if n > 1 else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data. Non-finite numbers become None."""
        return {"loss": finite(self.loss), "loss_by_t": [finite(loss) for loss in self.loss_by_t], "path": self.path}


@torch.no_grad()
def validation_loss(
    field: Field,
    dataset: Dataset,
    num_samples: int,
    *,
    seed: int,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
) -> ValidationLoss:
    """Return the mean squared velocity error per dimension of a field. The result is deterministic.

    The first `num_samples` samples of the split get the times (k + 0.5) / num_samples in an order that depends on the
    seed, so that classes (say, index mod 4) are not tied to times. The noise depends on the seed and the index; paired
    data has its own x0. Random times would make the standard error larger than the differences that matter. Computed in
    fp32.

    Args:
        field: The velocity field. Its backbone must be on `device` and in eval mode.
        dataset: A held-out split.
        num_samples: Number of samples, at most `len(dataset)`.
        seed: Seed of times and noise.
        batch_size: Number of samples to compute at once. Changes the result only by rounding.
        device: Where to compute: "cpu", "cuda", "mps".

    Raises:
        UsageError: The split has fewer than `num_samples` samples.
    """
    require_samples(dataset, num_samples)
    order = Permutation(num_samples, seed, "validation-times")(np.arange(num_samples))
    times = torch.from_numpy((order + 0.5) / num_samples).float()
    device = torch.device(device)
    errors = np.empty(num_samples)
    with torch.autocast(device.type, enabled=False):
        for start in range(0, num_samples, batch_size):
            indices = np.arange(start, min(start + batch_size, num_samples))
            errors[order[indices]] = _velocity_errors(field, dataset, indices, times[indices], seed, device).numpy()
    return ValidationLoss(errors, field.path.name)


def require_samples(dataset: Dataset, num_samples: int) -> None:
    """Raise UsageError if the split has fewer than `num_samples` samples."""
    if len(dataset) < num_samples:
        raise UsageError(
            f"evaluate.validation_samples needs {num_samples} held-out samples, but there are {len(dataset)}; "
            "lower it or hold out more data"
        )


def _velocity_errors(
    field: Field, dataset: Dataset, indices: NDArray[np.int64], t: Tensor, seed: int, device: torch.device
) -> Tensor:
    batch = dataset.batch(indices)
    x0 = batch.x0 if batch.x0 is not None else normal_rows(seed, "validation-noise", indices, tuple(batch.x1.shape[1:]))
    x0, x1, t = x0.to(device), batch.x1.to(device), t.to(device)
    condition = None if batch.condition is None else batch.condition.to(device)
    predicted = field.velocity(field.path.interpolate(x0, x1, t), t, condition)
    errors = (predicted - field.path.velocity(x0, x1, t)).square()
    return errors.reshape(len(indices), -1).mean(dim=1).float().cpu()
