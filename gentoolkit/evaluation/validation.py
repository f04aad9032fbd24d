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
from gentoolkit.fields import Field
from gentoolkit.protocols import Batch, Coupling, Dataset, Source
from gentoolkit.randomness import Permutation

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

    def numbers(self) -> dict[str, Any]:
        """Return `loss` and `loss_by_t`, for a record."""
        return {"loss": self.loss, "loss_by_t": self.loss_by_t}


@torch.no_grad()
def validation_loss(
    field: Field,
    dataset: Dataset,
    num_samples: int,
    *,
    source: Source,
    coupling: Coupling | None = None,
    coupled_size: int = 64,
    seed: int,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
) -> ValidationLoss:
    """Return the mean squared velocity error per dimension of a field. The result is deterministic.

    The first `num_samples` samples of the split get the times (k + 0.5) / num_samples in an order that depends on the
    seed, so that classes (say, index mod 4) are not tied to times. Random times would make the standard error larger
    than the differences that matter. x0 depends on the seed and the index; paired data has its own. With a coupling,
    each `coupled_size` consecutive samples are coupled, as in training. Computed in fp32.

    Args:
        field: The velocity field. Its backbone must be on `device` and in eval mode.
        dataset: A held-out split.
        num_samples: Number of samples, at most `len(dataset)`.
        source: The source of x0.
        coupling: The coupling of training, or None for independent pairs.
        coupled_size: Number of samples to couple at once: the batch size of training.
        seed: Seed of times and x0.
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
    size = batch_size if coupling is None else coupled_size
    with torch.autocast(device.type, enabled=False):
        for indices in np.split(np.arange(num_samples), range(size, num_samples, size)):
            pairs = _pairs(dataset, indices, source, coupling, seed)
            for part in torch.arange(len(indices)).split(batch_size):
                rows, few = indices[part.numpy()], pairs.map(lambda tensor, part=part: tensor[part].to(device))  # type: ignore[misc]
                errors[order[rows]] = _velocity_errors(field, few, times[rows].to(device)).numpy()
    return ValidationLoss(errors, field.path.name)


def require_samples(dataset: Dataset, num_samples: int) -> None:
    """Raise UsageError if the split has fewer than `num_samples` samples."""
    if len(dataset) < num_samples:
        raise UsageError(
            f"evaluate.validation_samples needs {num_samples} held-out samples, but there are {len(dataset)}; "
            "lower it or hold out more data"
        )


def _pairs(dataset: Dataset, indices: NDArray[np.int64], source: Source, coupling: Coupling | None, seed: int) -> Batch:
    batch = dataset.batch(indices)
    if batch.x0 is not None:
        return batch
    x0 = source.draw(seed, "validation-noise", indices).to(batch.x1.device)
    rows = slice(None) if coupling is None else coupling.couple(x0, batch.x1, batch.condition)
    return Batch(batch.x1, batch.condition, x0[rows])


def _velocity_errors(field: Field, pairs: Batch, t: Tensor) -> Tensor:
    x0, x1 = pairs.x0, pairs.x1
    assert x0 is not None
    predicted = field.velocity(field.path.interpolate(x0, x1, t), t, pairs.condition)
    errors = (predicted - field.path.velocity(x0, x1, t)).square()
    return errors.reshape(len(x1), -1).mean(dim=1).float().cpu()
