"""Euler's method for dx/dt = v(x, t): x_{k+1} = x_k + v(x_k, k / n) / n."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gentoolkit.paths import Field

from . import EulerConfig


class Euler:
    """`num_steps` equal steps, with the field evaluated at 0, 1/n, ..., 1 - 1/n."""

    order = 1.0
    tolerance = None

    def __init__(self, config: EulerConfig) -> None:
        self.num_steps = config.num_steps
        self.nfe = config.num_steps
        self.times = tuple(k / config.num_steps for k in range(config.num_steps))

    def with_num_steps(self, num_steps: int) -> Euler:
        """Return a sampler with another number of steps."""
        return Euler(EulerConfig(num_steps=num_steps))

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
        x = x0
        observe(0.0, x)
        for k, time in enumerate(self.times):
            t = torch.full((len(x),), time, dtype=x.dtype, device=x.device)
            x = x + field(x, t, condition) / self.num_steps
            observe((k + 1) / self.num_steps, x)
        return x
