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


class Block(nn.Module):
    """A residual block whose branch is scaled, shifted and gated by time and condition (adaLN-Zero).

    Peebles and Xie 2023, arXiv:2212.09748, Sec. 3.2: the modulation starts at zero, so the block is the identity.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.modulation = nn.Linear(width, 3 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, h_BW: Tensor, c_BW: Tensor) -> Tensor:
        """Return h + gate · layers(norm(h) · (1 + scale) + shift), (B, W)."""
        scale, shift, gate = self.modulation(c_BW).chunk(3, dim=1)
        return h_BW + gate * self.layers(F.layer_norm(h_BW, h_BW.shape[1:], eps=1e-6) * (1 + scale) + shift)


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
        self.blocks = nn.ModuleList(Block(width) for _ in range(config.depth))
        self.last = nn.Linear(width, math.prod(spec.shape))
        # Almost zero, which trains better than large values, but not zero: some guidance divides by the output's size.
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.zeros_(self.last.bias)

    def forward(
        self, x_t: Tensor, t: Tensor, condition: Tensor | None = None, second_time: Tensor | None = None
    ) -> Tensor:
        """Return the output, (B, *S), for x_t (B, *S), times (B,) and labels (B,) or arrays (B, *D)."""
        c_BW = self.time(features(t, self.frequencies))
        if self.second_time is not None and second_time is not None:
            c_BW = c_BW + self.second_time(features(second_time, self.frequencies))
        if self.condition is not None:
            c_BW = c_BW + self.condition(condition)
        h_BW, c_BW = self.first(x_t.flatten(1)), F.silu(c_BW)
        for block in self.blocks:
            h_BW = block(h_BW, c_BW)
        out_BD: Tensor = self.last(h_BW)
        return out_BD.unflatten(1, self.shape)

    def matrix_blocks(self) -> dict[str, int]:
        """Return the weights of the blocks' layers."""
        return {f"blocks.{i}.layers.{layer}.weight": 1 for i in range(len(self.blocks)) for layer in (0, 2)}


def condition_embedding(spec: DataSpec, width: int) -> nn.Module | None:
    """Return the module that embeds labels or flattened arrays as (B, W), or None for unconditional data."""
    match spec.condition:
        case Labels(num_classes, droppable):
            return nn.Embedding(num_classes + droppable, width)
        case Array(shape):
            return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), width))
        case None:
            return None
