"""The backbone of the contracts for objectives: the optimal velocity, on data for which it is known.

There are two kinds of such data. For N(mean, std² I) the optimal velocity is `gentoolkit.paths.gaussian_velocity`,
since the pairs of the contracts are independent. For data with one point per condition, x_t and t determine the
velocity exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gentoolkit.api import Array, Labels
from gentoolkit.paths import Path, expand, gaussian_velocity
from gentoolkit.protocols import Batch, LossRecord, Objective, TrainingContext
from gentoolkit.randomness import BatchGenerator
from gentoolkit.testing.contracts import Case, require

#: The Gaussian data. With a narrow distribution far from 0, errors of the time have a large effect.
STD, MEAN = 0.3, 2.0
#: Number of batches for the statistics, and samples per batch.
CALLS, ROWS = 256, 256

#: `(path, x_t, t, condition) -> v`
Best = Callable[[Path, Tensor, Tensor, Tensor | None], Tensor]


def gaussian(path: Path, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
    """Return the optimal velocity for N(MEAN, STD² I), (B, *S)."""
    return gaussian_velocity(x_t, t, x_t.new_full(x_t.shape[1:], MEAN), STD, path)


@dataclass(frozen=True)
class OnePoint:
    """Data with one point x1 per condition, and its exact velocity."""

    case: Case

    def points(self, condition: Tensor | None, count: int) -> Tensor:
        """Return x1, (B, *S), for conditions (B,) or (B, *D)."""
        shape = self.case.spec.shape
        match self.case.spec.condition:
            case Labels(num_classes) if condition is not None:
                return MEAN + self.case.normal(num_classes + 1, *shape, draw=5)[condition]
            case Array() if condition is not None:
                rows = condition.flatten(1)
                dim = rows.shape[1]
                return MEAN + torch.tensordot(rows, self.case.normal(dim, *shape, draw=5), 1) / dim**0.5
            case _:
                return MEAN + self.case.normal(*shape, draw=5).expand(count, *shape)

    def __call__(self, path: Path, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the velocity, (B, *S); it has a pole where sigma = 0."""
        return path.velocity_from_denoised(self.points(condition, len(x_t)), x_t, t)


class Placed(nn.Module):
    """A backbone that predicts v* + theta · (1, x, t, x t) in an objective's parametrization.

    Args:
        objective: The objective, whose `output_for` converts a velocity to the output.
        theta: (B, 4), coefficients of the test functions for each sample, so that the gradient is obtained per sample.
        best: v*.

    Attributes:
        calls: x_t, t and condition of each call.
        outputs: The output of each call.
    """

    def __init__(self, objective: Objective, theta: Tensor | None = None, best: Best = gaussian) -> None:
        super().__init__()
        self.objective = [objective]  # in a list, so that its parameters are not registered as the backbone's
        self.theta, self.best = theta, best
        self.calls: list[tuple[Tensor, Tensor, Tensor | None]] = []
        self.outputs: list[Tensor] = []

    @property
    def path(self) -> Path:
        """The path of the objective's field."""
        return self.objective[0].field(self).path

    def velocity(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return v*, (B, *S)."""
        return self.best(self.path, x_t, t, condition)

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the output that corresponds to v* + theta · (1, x, t, x t)."""
        self.calls.append((x_t.detach(), t.detach(), condition))
        v = self.velocity(x_t, t, condition)
        if self.theta is not None:
            given, expected = len(x_t), len(self.theta)
            require(given == expected, f"the backbone receives {given} samples; expected {expected}, the whole batch")
            one, s = torch.ones_like(x_t), expand(t, x_t)
            terms = zip(self.theta.unbind(1), (one, x_t, s * one, s * x_t), strict=True)
            v = v + sum((expand(theta, x_t) * phi for theta, phi in terms), torch.zeros_like(x_t))
        output = self.objective[0].output_for(v, x_t, t)
        if output.requires_grad:
            output.retain_grad()
        self.outputs.append(output)
        return output


def gaussian_batch(case: Case, count: int, stream: int = 0) -> Batch:
    """Return independent pairs of standard normal noise and the Gaussian data."""
    x1 = MEAN + STD * case.normal(count, *case.spec.shape, draw=10 * stream)
    return Batch(x1, case.conditions(count, first=stream * count), noise(case, count, stream))


def noise(case: Case, count: int, stream: int = 0) -> Tensor:
    """Return standard normal x0, (B, *S)."""
    return case.normal(count, *case.spec.shape, draw=10 * stream + 1)


def context_for(case: Case, count: int, teacher: nn.Module, stream: int = 0) -> TrainingContext:
    """Return the context of a training step; different streams have independent random numbers."""
    return TrainingContext(BatchGenerator(case.seed, "contract", stream, count), ema_backbone=teacher)


def loss_at(
    case: Case, objective: Any, batch: Batch, theta: Tensor | None = None, best: Best = gaussian, stream: int = 0
) -> tuple[LossRecord, Placed]:
    """Return the loss of the backbone v* + theta · (1, x, t, x t), and the backbone."""
    backbone = Placed(objective, theta, best)
    context = context_for(case, len(batch), Placed(objective, best=best), stream)
    return objective.loss(backbone, batch, context), backbone


@dataclass(frozen=True)
class Statistics:
    """Records of many training steps at the optimal velocity for Gaussian data, with one row for each of N samples.

    Attributes:
        x0: The noise, (N, *S).
        x1: The data, (N, *S).
        condition: The conditions; zeros if there are none.
        x_t: The states that the backbone received, (N, *S).
        t: The times that the backbone received, (N,).
        times: The times in the loss record, (N,).
        error: The unweighted error of the velocity, (N,).
        has_error: Whether the objective reports this error separately from the loss.
        steps: The gradient with respect to changes of the velocity by (1, x, t, x t), (N, 4).
        outputs: The absolute gradient with respect to the backbone's output, (N, *S).
        path: The path of the objective's field.
    """

    x0: Tensor
    x1: Tensor
    condition: Tensor
    x_t: Tensor
    t: Tensor
    times: Tensor
    error: Tensor
    steps: Tensor
    outputs: Tensor
    has_error: bool
    path: Path


def statistics(case: Case) -> Statistics:
    """Evaluate the loss and its gradients at the optimal velocity for Gaussian data, in CALLS batches of ROWS pairs."""
    objective = case.build()
    found: list[tuple[Tensor, ...]] = []
    for stream in range(CALLS):
        batch = gaussian_batch(case, ROWS, stream)
        assert batch.x0 is not None
        x0 = batch.x0.clone()
        theta = torch.zeros(ROWS, 4, requires_grad=True)
        record, backbone = loss_at(case, objective, batch, theta, stream=stream)
        record.loss.sum().backward()
        assert theta.grad is not None
        x_t, t, _ = backbone.calls[0]
        error = record.loss if record.velocity_error is None else record.velocity_error
        gradients = [output.grad.abs() for output in backbone.outputs if output.grad is not None]
        outputs = torch.stack(gradients).sum(0) if gradients else torch.zeros_like(x_t)
        condition = torch.zeros(ROWS) if batch.condition is None else batch.condition
        found.append((x0, batch.x1, condition, x_t, t, record.t.detach(), error.detach(), theta.grad, outputs))
    x0, x1, condition, x_t, t, times, error, steps, outputs = (torch.cat(parts) for parts in zip(*found, strict=True))
    has_error = record.velocity_error is not None
    return Statistics(x0, x1, condition, x_t, t, times, error, steps, outputs, has_error, backbone.path)
