"""The steps of the samplers."""

from __future__ import annotations

from torch import Tensor

from gentoolkit.fields import Field
from gentoolkit.samplers import FixedGrid


class Euler(FixedGrid):
    """x_s = x_t + (s - t) v(x_t, t)."""

    order = 1.0

    def step(self, field: Field, x: Tensor, t: Tensor, s: Tensor, condition: Tensor | None) -> Tensor:
        """Return the state at time s."""
        return x + (s - t) * field.velocity(x, t, condition)


class Heun(FixedGrid):
    """The trapezoidal rule with Euler's method as the predictor."""

    order = 2.0

    def step(self, field: Field, x: Tensor, t: Tensor, s: Tensor, condition: Tensor | None) -> Tensor:
        """Return the state at time s."""
        v = field.velocity(x, t, condition)
        return x + (s - t) / 2 * (v + field.velocity(x + (s - t) * v, s, condition))
