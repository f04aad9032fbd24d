"""The base class of samplers that take a fixed number of steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, Self

import torch
from torch import Tensor

from gentoolkit.configs import FixedGridConfig
from gentoolkit.fields import Field, FlowMap
from gentoolkit.protocols import Grid


class FixedGrid:
    """Base class of samplers with `num_steps` steps over the times of a grid. Subclasses define `order` and `step`.

    Nothing is evaluated outside the domain of a field: the first step begins at the domain's first time, and a domain
    that ends before t = 1 is left with the denoised sample.

    Attributes:
        order: Order of convergence, or None for stochastic samplers.
        stochastic: Whether `step` needs noise.
    """

    order: ClassVar[float | None] = None
    stochastic: ClassVar[bool] = False
    tolerance: ClassVar[float | None] = None

    def __init__(self, config: FixedGridConfig, grid: Grid) -> None:
        self.config, self.grid = config, grid

    def step(self, field: Field, x: Tensor, t: Tensor, s: Tensor, condition: Tensor | None) -> Tensor:
        """Return the state at time s for the state x, (B, *S), at time t; t and s are scalars of x's dtype."""
        raise NotImplementedError

    def noisy_step(
        self, field: Field, x: Tensor, t: Tensor, s: Tensor, condition: Tensor | None, noise: Tensor
    ) -> Tensor:
        """Return the state at time s, given standard normal draws, (B, *S); in place of `step` if `stochastic`."""
        raise NotImplementedError

    def with_num_steps(self, num_steps: int) -> Self:
        """Return the same sampler with another number of steps."""
        return type(self)(self.config.model_copy(update={"num_steps": num_steps}), self.grid)

    @cached_property
    def times(self) -> tuple[float, ...]:
        """Return the times at which a field with the domain [0, 1] is evaluated, in order; a jump counts as one."""
        seen: list[float] = []

        def evaluate(x: Tensor, t: Tensor, *_: Tensor | None) -> Tensor:
            seen.append(t[0].item())
            return x

        x0 = torch.zeros(1, 1, dtype=torch.float64)
        self.sample(FlowMap(evaluate, jumps=evaluate), x0, noise=lambda t, s: x0)
        return tuple(seen)

    @property
    def nfe(self) -> int:
        """Return the number of evaluations of a field with the domain [0, 1]."""
        return len(self.times)

    def sample(
        self,
        field: Field,
        x0: Tensor,
        condition: Tensor | None = None,
        noise: Callable[[float, float], Tensor] | None = None,
        on_step: Callable[[float, Tensor], None] | None = None,
    ) -> Tensor:
        """Carry x0, (B, *S), to t = 1; see `gentoolkit.protocols.Sampler`."""
        observe = on_step or (lambda t, x: None)
        first, last = field.domain
        x = x0
        observe(0.0, x)
        for start, end in pairwise(self.grid.times(self.config.num_steps)):
            t, s = x.new_tensor(max(start, first)), x.new_tensor(min(end, last))
            if s > t:
                if self.stochastic:
                    assert noise is not None
                    x = self.noisy_step(field, x, t, s, condition, noise(start, end))
                else:
                    x = self.step(field, x, t, s, condition)
            if end == 1 and last < 1:
                x = field.denoised(x, s, condition)
            observe(end, x)
        return x
