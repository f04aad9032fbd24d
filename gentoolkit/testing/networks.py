"""Networks and inputs for the contracts for backbones.

Many networks start with zero-initialized gates or heads, which hide all faults behind them. Nearly all contracts
therefore use a network with perturbed parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gentoolkit.api import DataSpec
from gentoolkit.randomness import numpy_generator
from gentoolkit.testing.contracts import Case


class Inputs(NamedTuple):
    """The arguments of a backbone."""

    x_t: Tensor
    t: Tensor
    condition: Tensor | None

    def to(self, dtype: torch.dtype) -> Inputs:
        """Return the inputs with x_t, t and array conditions in another dtype."""
        parts = (p.to(dtype) if p is not None and p.is_floating_point() else p for p in self)
        return Inputs(*parts)  # type: ignore[arg-type]

    def row(self, i: int) -> Inputs:
        """Return the inputs of one sample, as a batch of one."""
        return Inputs(*(None if p is None else p[i : i + 1] for p in self))  # type: ignore[arg-type]

    def tracked(self) -> Inputs:
        """Return the inputs with gradients recorded for x_t, t and array conditions."""
        parts = (p.requires_grad_() if p is not None and p.is_floating_point() else p for p in self)
        return Inputs(*parts)  # type: ignore[arg-type]


def inputs_for(case: Case, count: int = 3) -> Inputs:
    """Return keyed inputs that fit the case's data, with times spread over [0, 1]."""
    t = (torch.arange(count) + 0.5) / count
    return Inputs(case.normal(count, *case.spec.shape), t, case.conditions(count))


def perturbed(case: Case, spec: DataSpec | None = None, needs: Iterable[str] = ()) -> nn.Module:
    """Build the network in eval mode, with keyed noise of standard deviation 0.1 added to every parameter."""
    backbone: nn.Module = case.build(spec=spec, needs=needs)
    generator = numpy_generator(case.seed, "perturbation")
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.from_numpy(generator.standard_normal(parameter.shape, dtype=np.float32)), alpha=0.1)
    return backbone.eval()


def output_of(backbone: nn.Module, inputs: Inputs) -> Tensor:
    """Return the output, computed without recording gradients."""
    with torch.no_grad():
        output: Tensor = backbone(*inputs)
    return output
