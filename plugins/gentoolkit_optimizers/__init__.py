"""Optimizers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from gentoolkit.api import Component, OptimizerConfig, hookimpl, slot

Decay = Annotated[float, Field(ge=0, lt=1)]


class AdamWConfig(OptimizerConfig):
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), as implemented by torch."""

    state_per_weight = 2

    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Decay rates of the first and second moments."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Decoupled weight decay."""


class MuonConfig(OptimizerConfig):
    """Muon (Jordan et al. 2024) for the backbone's weight matrices, and another optimizer for all other parameters."""

    state_per_weight = 1

    learning_rate: float = Field(default=0.02, gt=0)
    """Peak learning rate for the matrices."""
    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Decay rate of the momentum. Lower values suit short runs, where old gradients go stale quickly."""
    iterations: int = Field(default=5, ge=1, lt=100)
    """Newton-Schulz iterations per step. With fewer iterations the update is further from orthogonal."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Decoupled weight decay of the matrices."""
    rest: OptimizerConfig = slot("adamw")
    """The optimizer of the other parameters."""


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the optimizers."""
    yield Component("adamw", AdamWConfig, f"{__name__}.adamw:adamw")
    yield Component("muon", MuonConfig, f"{__name__}.muon:Muon")
