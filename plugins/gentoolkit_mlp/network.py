"""The network."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gentoolkit.api import DataSpec, Labels, Vectors

from . import MlpConfig


class Mlp(nn.Module):
    """depth + 2 linear layers with SiLU between them.

    Args:
        config: The backbone's config.
        spec: The spec of the samples.
    """

    def __init__(self, config: MlpConfig, spec: DataSpec) -> None:
        super().__init__()
        self.shape, size, width = spec.shape, math.prod(spec.shape), config.width
        self.first = nn.Linear(size + 1, width)
        hidden = [layer for _ in range(config.depth) for layer in (nn.SiLU(), nn.Linear(width, width))]
        self.hidden = nn.Sequential(*hidden, nn.SiLU())
        self.last = nn.Linear(width, size)
        self.condition: nn.Module | None = None
        match spec.condition:
            case Labels(num_classes, droppable):
                self.condition = nn.Embedding(num_classes + droppable, width)
            case Vectors(dim):
                self.condition = nn.Linear(dim, width, bias=False)

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the network's output, (B, *S)."""
        hidden = self.first(torch.cat([x_t.flatten(1), t[:, None]], dim=1))
        if self.condition is not None:
            hidden = hidden + self.condition(condition)
        return self.last(self.hidden(hidden)).view(-1, *self.shape)

    def matrix_blocks(self) -> Mapping[str, int]:
        """Return the weights of the hidden layers."""
        return {f"hidden.{name}": 1 for name, weight in self.hidden.named_parameters() if weight.ndim == 2}
