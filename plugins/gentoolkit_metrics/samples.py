"""Functions shared by the metrics: conversion of samples to rows, and checks of their number."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def as_rows(x: Tensor) -> Tensor:
    """Return samples (N, *S) as float64 rows on the CPU, (N, D); not every device supports float64."""
    return x.detach().to("cpu", torch.float64).reshape(len(x), math.prod(x.shape[1:]))


def need(least: int, real: Tensor, other: Tensor) -> None:
    """Require at least `least` rows on each side.

    Raises:
        ValueError: There are fewer.
    """
    if min(len(real), len(other)) < least:
        raise ValueError(
            f"expected at least {least} real and {least} generated samples; got {len(real)} and {len(other)}"
        )
