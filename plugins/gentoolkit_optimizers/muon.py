"""Muon: gradient descent by orthogonalized momentum (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gentoolkit.api import UsageError
from gentoolkit.protocols import Optimizer, TrainedParameter

from . import MuonConfig
from .uncompiled import without_compiler

#: The quintic that each iteration applies to the singular values: a s + b s³ + c s⁵.
A, B, C = 3.4445, -4.7750, 2.0315
#: Maximum number of elements to orthogonalize at once, which limits the memory for large networks.
TOGETHER = 2**25


class Muon:
    """Muon for the matrices and another optimizer for the rest, used like a single optimizer.

    Args:
        config: The config.
        parameters: All parameters; those with `blocks` above 0 are the matrices.
        rest: Builds the optimizer of the others.

    Raises:
        UsageError: There are no matrices.
    """

    def __init__(
        self, config: MuonConfig, parameters: Sequence[TrainedParameter], rest: Callable[..., Optimizer]
    ) -> None:
        matrices = [part for part in parameters if part.blocks]
        others = [part for part in parameters if not part.blocks]
        if not matrices:
            raise UsageError("muon has nothing to train: the backbone names no matrices; use another optimizer")
        self.parts: dict[str, Optimizer] = {"matrices": without_compiler(MatrixMuon)(matrices, config)}
        if others:
            self.parts["rest"] = rest(parameters=others)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Return the groups of both optimizers, the matrices first."""
        return [group for part in self.parts.values() for group in part.param_groups]

    def step(self) -> None:
        """Update all parameters that have a gradient."""
        for part in self.parts.values():
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both optimizers by name."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state from `state_dict`."""
        for name, part in self.parts.items():
            part.load_state_dict(state_dict[name])


class MatrixMuon(torch.optim.Optimizer):
    """Nesterov momentum in which each update is replaced by a nearly orthogonal matrix.

    torch's Muon always computes in bf16, which on processors without bf16 instructions is 50 times slower than float32.

    Args:
        matrices: 2-D parameters. Their blocks of rows are orthogonalized separately.
        config: The config. For matrices with more rows than columns, the learning rate is multiplied by
            sqrt(rows / columns).
    """

    def __init__(self, matrices: Sequence[TrainedParameter], config: MuonConfig) -> None:
        values = {"momentum": config.momentum, "iterations": config.iterations, "weight_decay": config.weight_decay}
        super().__init__([part.parameter for part in matrices], {"lr": config.learning_rate, **values})
        self.blocks, self.dtype = [part.blocks for part in matrices], matrices[0].matrix_dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update the matrices that have a gradient."""
        (group,) = self.param_groups
        momentum, decay = group["momentum"], group["lr"] * group["weight_decay"]
        equal_shapes: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for matrix, count in zip(group["params"], self.blocks, strict=True):
            if matrix.grad is None:
                continue
            average = self.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix))
            average.lerp_(matrix.grad, 1 - momentum)
            update = matrix.grad.lerp(average, momentum)
            for weights, direction in zip(matrix.chunk(count), update.chunk(count), strict=True):
                equal_shapes[weights.shape].append((weights, direction))
        for (rows, columns), pairs in equal_shapes.items():
            rate, size = group["lr"] * max(1, rows / columns) ** 0.5, max(1, TOGETHER // (rows * columns))
            for start in range(0, len(pairs), size):
                weights, directions = zip(*pairs[start : start + size], strict=True)
                updates = orthogonalize(torch.stack(directions).to(self.dtype), group["iterations"])
                for weight, change in zip(weights, updates, strict=True):
                    weight.mul_(1 - decay).add_(change, alpha=-rate)


def orthogonalize(matrices: Tensor, iterations: int) -> Tensor:
    """Return U S' Vᵀ for matrices U S Vᵀ, (K, m, n), with singular values S' in [0.68, 1.14] after 5 iterations.

    Newton-Schulz iterations with the quintic of Jordan et al. 2024: X <- (a I + b G + c G²) X with G = X Xᵀ, starting
    from X scaled to Frobenius norm 1. Singular values below 0.01 after scaling stay smaller.
    """
    transposed = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if transposed else matrices
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    wide = x.shape[2] >= 2 * x.shape[1] and x.dtype != torch.bfloat16
    x = _iterate_gram(x, iterations) if wide else _iterate(x, iterations)
    return x.mT if transposed else x


def _iterate(x: Tensor, iterations: int) -> Tensor:
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    return x


def _iterate_gram(x: Tensor, iterations: int) -> Tensor:
    """Equivalent to `_iterate`, but iterate on G, (m, m): X <- P X implies G <- P G P, and all these matrices commute.

    For n = 4 m it needs half as many operations. G contains the squares of the singular values, so rounding hides
    singular values below the square root of the dtype's precision, which are too many in bfloat16.
    """
    gram, product = x @ x.mT, None
    for left in range(iterations)[::-1]:
        p = torch.baddbmm(gram, gram, gram, beta=B, alpha=C)
        p.diagonal(dim1=1, dim2=2).add_(A)
        product = p if product is None else p @ product
        if left:
            gram = p @ p @ gram
    return x if product is None else product @ x
