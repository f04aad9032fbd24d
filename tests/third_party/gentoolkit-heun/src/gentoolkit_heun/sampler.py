"""Heun's method for dx/dt = v(x, t): an Euler step, then the mean of the slopes at both ends."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gentoolkit.paths import Field

from . import HeunConfig


class Heun:
    """x_{k+1} = x_k + h/2 (v(x_k, t_k) + v(x_k + h v(x_k, t_k), t_{k+1})); Karras et al. 2022, arXiv:2206.00364."""

    order = 2.0
    tolerance = None

    def __init__(self, config: HeunConfig) -> None:
        n = self.num_steps = config.num_steps
        self.nfe = 2 * n
        self.times = tuple(end / n for k in range(n) for end in (k, k + 1))

    def with_num_steps(self, num_steps: int) -> Heun:
        """Return the sampler with another number of steps."""
        return Heun(HeunConfig(num_steps=num_steps))

    def sample(
        self,
        field: Field,
        x0: Tensor,
        condition: Tensor | None = None,
        noise: Callable[[int], Tensor] | None = None,
        on_step: Callable[[float, Tensor], None] | None = None,
    ) -> Tensor:
        """Carry x0 (B, *S) to t = 1; see `gentoolkit.protocols.Sampler`."""
        observe = on_step or (lambda t, x: None)
        x, h = x0, 1 / self.num_steps
        observe(0.0, x)
        for k in range(self.num_steps):
            start, end = (
                torch.full((len(x),), (k + j) / self.num_steps, dtype=x.dtype, device=x.device) for j in (0, 1)
            )
            v = field(x, start, condition)
            x = x + h / 2 * (v + field(x + h * v, end, condition))
            observe((k + 1) / self.num_steps, x)
        return x
