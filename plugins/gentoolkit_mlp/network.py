"""The multilayer perceptron. Shape suffixes: B batch, D flattened sample, W hidden width."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gentoolkit.api import Array, DataSpec, Labels

from . import MLPConfig


def features(t: Tensor, frequencies: int) -> Tensor:
    """Return t, sin(k pi t) and cos(k pi t) for k = 1 ... frequencies, (B, 1 + 2 · frequencies), for t, (B,)."""
    angles = math.pi * t[:, None] * torch.arange(1, frequencies + 1, dtype=t.dtype, device=t.device)
    return torch.cat([t[:, None], angles.sin(), angles.cos()], dim=1)


class MLP(nn.Module):
    """A perceptron for samples of any fixed shape.

    Args:
        config: The config.
        spec: The data spec.
        needs: "second_time" for a second time as an input.
    """

    def __init__(self, config: MLPConfig, spec: DataSpec, needs: frozenset[str]) -> None:
        super().__init__()
        self.shape, self.frequencies, width = spec.shape, config.frequencies, config.width
        self.first = nn.Linear(math.prod(spec.shape), width)
        self.time = nn.Linear(1 + 2 * config.frequencies, width)
        self.second_time = nn.Linear(1 + 2 * config.frequencies, width) if "second_time" in needs else None
        self.condition = condition_embedding(spec, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(config.depth - 1))
        self.last = nn.Linear(width, math.prod(spec.shape))

    def forward(
        self, x_t: Tensor, t: Tensor, condition: Tensor | None = None, second_time: Tensor | None = None
    ) -> Tensor:
        """Return the output, (B, *S), for x_t (B, *S), times (B,) and labels (B,) or arrays (B, *D)."""
        h_BW = self.first(x_t.flatten(1)) + self.time(features(t, self.frequencies))
        if self.second_time is not None and second_time is not None:
            h_BW = h_BW + self.second_time(features(second_time, self.frequencies))
        if self.condition is not None:
            h_BW = h_BW + self.condition(condition)
        for layer in self.hidden:
            h_BW = layer(F.silu(h_BW))
        out_BD: Tensor = self.last(F.silu(h_BW))
        return out_BD.unflatten(1, self.shape)

    def matrix_blocks(self) -> dict[str, int]:
        """Return the weights of the hidden layers."""
        return {f"hidden.{i}.weight": 1 for i in range(len(self.hidden))}


def condition_embedding(spec: DataSpec, width: int) -> nn.Module | None:
    """Return the module that embeds labels or flattened arrays as (B, W), or None for unconditional data."""
    match spec.condition:
        case Labels(num_classes, droppable):
            return nn.Embedding(num_classes + droppable, width)
        case Array(shape):
            return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), width))
        case None:
            return None
