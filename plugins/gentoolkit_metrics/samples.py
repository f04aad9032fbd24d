"""Functions shared by the metrics: conversion of samples to rows, and checks of their number."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def as_rows(real: Tensor, generated: Tensor, num_dims: int | None) -> tuple[Tensor, Tensor]:
    """Return samples (N, *S) and (M, *S) as float64 rows on the CPU, (N, D) and (M, D).

    On the CPU, because not every device supports float64.

    Raises:
        ValueError: The two shapes differ, or D differs from `num_dims`, the length of earlier rows.
    """
    if real.shape[1:] != generated.shape[1:]:
        raise ValueError(f"real samples have shape {tuple(real.shape[1:])}, generated {tuple(generated.shape[1:])}")
    dims = math.prod(real.shape[1:])
    if num_dims not in (None, dims):
        raise ValueError(f"samples have {dims} values, but those of earlier updates have {num_dims}")
    return _rows(real, dims), _rows(generated, dims)


def _rows(samples: Tensor, dims: int) -> Tensor:
    return samples.detach().to("cpu", torch.float64).reshape(len(samples), dims)


def need(least: int, real: int, generated: int) -> None:
    """Require at least `least` real and `least` generated samples.

    Raises:
        ValueError: Fewer samples have been passed to `update`.
    """
    if min(real, generated) < least:
        raise ValueError(f"expected at least {least} real and {least} generated samples; got {real} and {generated}")
