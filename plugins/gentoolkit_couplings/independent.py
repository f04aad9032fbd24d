"""The coupling that leaves pairs as they are drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from . import IndependentConfig


class Independent:
    """Pairs row i of x0 with row i of x1."""

    def __init__(self, config: IndependentConfig) -> None:
        pass

    def couple(self, x0: Tensor, x1: Tensor, condition: Tensor | None) -> Tensor:
        """Return 0, 1, ..., B - 1."""
        return torch.arange(len(x1), device=x1.device)
