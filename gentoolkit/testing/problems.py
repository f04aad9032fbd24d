"""Fields with known solutions, for testing samplers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gentoolkit.fields import Domain, Field
from gentoolkit.paths import LINEAR, expand, gaussian_velocity

#: Shape of states: five samples of shape (2, 3). The axis of length 2 is a pair, for rotations.
SHAPE = (5, 2, 3)
#: Mean and standard deviation of Gaussian data, for samplers that use more of a field than its velocity.
MEAN, STD = 0.8, 0.5

#: `(x, t) -> dx/dt`
Velocity = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Probe:
    """A field that records the times and the conditions at which it is evaluated."""

    velocity: Velocity
    times: list[Tensor] = field(default_factory=list)
    conditions: list[Tensor | None] = field(default_factory=list)

    def field(self, domain: Domain = (0.0, 1.0)) -> Field:
        """Return the field, on the linear path."""

        def evaluate(x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
            self.times.append(t)
            self.conditions.append(condition)
            return self.velocity(x, t)

        return Field(evaluate, LINEAR, "velocity", domain)


@dataclass(frozen=True)
class Problem:
    """An initial value problem: dx/dt, and the solution at t = 1 for a state at t = 0."""

    velocity: Velocity
    solution: Callable[[Tensor], Tensor]


def fractions() -> Tensor:
    """Return states with distinct values between 0.1 and 0.7, of shape SHAPE, float64."""
    return torch.linspace(0.1, 0.7, math.prod(SHAPE), dtype=torch.float64).reshape(SHAPE)


def gaussian(x: Tensor, t: Tensor) -> Tensor:
    """Return the optimal velocity for data N(MEAN, STD² I)."""
    return gaussian_velocity(x, t, torch.full(x.shape[1:], MEAN, dtype=x.dtype), STD)


def _logistic(x: Tensor, t: Tensor) -> Tensor:
    return x * (1 - x) * (1 + torch.cos(3 * expand(t, x)))


def _logistic_solution(x0: Tensor) -> Tensor:
    return torch.sigmoid(torch.logit(x0) + 1 + math.sin(3) / 3)


#: dx/dt = x (1 - x) (1 + cos 3t), for x in (0, 1): nonlinear and time-dependent; logit x grows by t + sin(3t) / 3.
LOGISTIC = Problem(_logistic, _logistic_solution)


def _speed(x: Tensor) -> Tensor:
    squared = x.square().sum(1)
    return 8 * squared / (1 + squared)


def _rotation(x: Tensor, t: Tensor) -> Tensor:
    speed = _speed(x).unsqueeze(1) * (1 + torch.cos(3 * expand(t, x)))
    return speed * torch.stack([-x[:, 1], x[:, 0]], 1)


def _rotation_solution(x0: Tensor) -> Tensor:
    angle = _speed(x0) * (1 + math.sin(3) / 3)
    a, b = x0[:, 0], x0[:, 1]
    return torch.stack([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], 1)


#: A rotation of pairs at the speed 8 |x|² / (1 + |x|²) · (1 + cos 3t). |x| is constant; each sample has its own speed.
ROTATION = Problem(_rotation, _rotation_solution)
