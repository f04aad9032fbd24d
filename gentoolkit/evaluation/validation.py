"""The loss of a velocity field on held-out data, and the smallest loss there can be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gentoolkit.errors import GentoolError, UsageError
from gentoolkit.evaluation.metrics import finite
from gentoolkit.paths import LINEAR, Field, Linear, Path
from gentoolkit.protocols import Dataset
from gentoolkit.randomness import Permutation, normal_rows

#: Equal parts of [0, 1] for which the validation loss is given.
TIME_BINS = 10


@dataclass(frozen=True)
class ValidationLoss:
    """Mean squared velocity error per dimension on held-out data.

    Attributes:
        loss: Over all samples.
        loss_by_t: Over the samples with t in each of `TIME_BINS` equal parts of [0, 1]; None where there are none.
    """

    loss: float
    loss_by_t: tuple[float | None, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; a number that is not finite becomes None."""
        return {"loss": finite(self.loss), "loss_by_t": [finite(loss) for loss in self.loss_by_t]}


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
    """Return the mean squared velocity error per dimension of a field, without any randomness from call to call.

    The first `num_samples` samples of the split get the times (i + 0.5) / num_samples in a keyed order, so that no
    class (say, index mod 4) goes with a time, and noise keyed by their index; pairs bring their own x0. With random
    times instead, the standard error would be larger than the differences that matter. Computed in fp32.

    Args:
        field: The velocity field, its backbone on `device` and in eval mode.
        dataset: A held-out split.
        num_samples: How many samples, at most `len(dataset)`.
        seed: What times and noise are keyed by.
        batch_size: How many samples are taken at once; changes the result by rounding only.
        device: Where to compute: "cpu", "cuda", "mps".

    Raises:
        UsageError: The split has too few samples.
    """
    require_samples(dataset, num_samples)
    order = Permutation(num_samples, seed, "validation-times")(np.arange(num_samples))
    times = torch.from_numpy((order + 0.5) / num_samples).float()
    device = torch.device(device)
    losses = []
    with torch.autocast(device.type, enabled=False):
        for start in range(0, num_samples, batch_size):
            indices = np.arange(start, min(start + batch_size, num_samples))
            losses.append(_velocity_errors(field, dataset, indices, times[indices], seed, device))
    return _summarise(torch.cat(losses).double().numpy(), order)


def require_samples(dataset: Dataset, num_samples: int) -> None:
    """Raise UsageError where the split has fewer samples than the validation takes."""
    if len(dataset) < num_samples:
        raise UsageError(
            f"evaluate.validation_samples needs {num_samples} held-out samples, there are {len(dataset)}; "
            "lower it or hold out more data"
        )


def _velocity_errors(
    field: Field, dataset: Dataset, indices: NDArray[np.int64], t: Tensor, seed: int, device: torch.device
) -> Tensor:
    batch = dataset.batch(indices)
    x0 = batch.x0 if batch.x0 is not None else normal_rows(seed, "validation-noise", indices, tuple(batch.x1.shape[1:]))
    x0, x1, t = x0.to(device), batch.x1.to(device), t.to(device)
    condition = None if batch.condition is None else batch.condition.to(device)
    predicted = field(field.path.interpolate(x0, x1, t), t, condition)
    errors = (predicted - field.path.velocity(x0, x1, t)).square()
    return errors.reshape(len(indices), -1).mean(dim=1).float().cpu()


def _summarise(losses: NDArray[np.float64], order: NDArray[np.int64]) -> ValidationLoss:
    bins = (2 * order + 1) * TIME_BINS // (2 * len(order))  # t = (order + 0.5) / n, without rounding at the edges
    parts = [losses[bins == k] for k in range(TIME_BINS)]
    return ValidationLoss(float(losses.mean()), tuple(float(part.mean()) if part.size else None for part in parts))


def class_residual_std(groups: Mapping[str, Tensor]) -> float:
    """Return the deviation of samples around the mean of their class, averaged over the classes.

    Per class it is the square root of the unbiased variance, averaged over all dimensions.

    Args:
        groups: Group name -> samples (N, *S), N >= 2.

    Raises:
        GentoolError: A class has fewer than two samples.
    """
    if few := [name for name, samples in groups.items() if len(samples) < 2]:
        raise GentoolError(f"a deviation needs two samples; class {few[0]} has fewer")
    stds = [samples.cpu().double().var(dim=0).mean().sqrt().item() for samples in groups.values()]
    return math.fsum(stds) / len(stds)


def gaussian_optimum(std: float, path: Path = LINEAR) -> float | None:
    """Return the optimum of the validation loss for classes N(mu, std² I): (pi / 2) std; None off the linear path.

    For such data and x0 ~ N(0, I), v = x1 - x0 and x_t are jointly Gaussian, and what x_t and the class leave open of v
    has the variance std² / D(t), D = t² std² + (1 - t)², whatever the model. The mean over t ~ U(0, 1) is (pi / 2) std
    (`gentoolkit.paths.gaussian_velocity_error`).

    For any other data with the same mean squared deviation from the class mean it is an upper bound. The field
    mu + c(t) (x_t - t mu) errs by (1 - t c) (x1 - mu) - (1 + (1 - t) c) x0, whose mean square per dimension depends on
    the data through that deviation only; with `gentoolkit.paths.gaussian_velocity`'s c it is std² / D again. So one
    field reaches this loss, and a better one exists where the classes are not N(mu, std² I). Being linear in std, the
    figure for equally frequent classes follows from their mean std (`class_residual_std`). It does not hold for data
    that comes in pairs.

    Args:
        std: The deviation from the class mean, per dimension, >= 0.
        path: The path of the field; only the linear one has this optimum.
    """
    return math.pi / 2 * std if isinstance(path.coefficients, Linear) else None


def gaussian_optimum_by_t(std: float, path: Path = LINEAR) -> tuple[float, ...] | None:
    """Return the mean of std² / D(t) over each of `TIME_BINS` parts of [0, 1]: `gaussian_optimum`, part by part.

    With F(t) = std · atan(((1 + std²) t - 1) / std), an antiderivative, the part [a, b] has (F(b) - F(a)) / (b - a).
    """
    if not isinstance(path.coefficients, Linear):
        return None
    edges = [k / TIME_BINS for k in range(TIME_BINS + 1)]
    antiderivative = [std * math.atan2((1 + std**2) * t - 1, std) for t in edges]
    return tuple((b - a) * TIME_BINS for a, b in itertools.pairwise(antiderivative))
