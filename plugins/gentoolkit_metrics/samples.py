"""What the metrics share: samples as rows of one length, and what is asked of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def as_rows(real: Tensor, generated: Tensor, num_dims: int | None) -> tuple[Tensor, Tensor]:
    """Return samples (N, *S) and (M, *S) as float64 rows on the CPU, (N, D) and (M, D).

    On the CPU, because not every device computes in float64.

    Raises:
        ValueError: The two shapes differ, or D is not `num_dims`, the length of the rows before.
    """
    if real.shape[1:] != generated.shape[1:]:
        raise ValueError(f"real samples have shape {tuple(real.shape[1:])}, generated {tuple(generated.shape[1:])}")
    dims = math.prod(real.shape[1:])
    if num_dims not in (None, dims):
        raise ValueError(f"samples have {dims} values; those of the updates before had {num_dims}")
    return _rows(real, dims), _rows(generated, dims)


def _rows(samples: Tensor, dims: int) -> Tensor:
    return samples.detach().to("cpu", torch.float64).reshape(len(samples), dims)


def need(least: int, real: int, generated: int) -> None:
    """Refuse to compute from too few samples.

    Raises:
        ValueError: Fewer than `least` real or generated samples were given to `update`.
    """
    if min(real, generated) < least:
        raise ValueError(f"needs at least {least} real and {least} generated samples; got {real} and {generated}")
