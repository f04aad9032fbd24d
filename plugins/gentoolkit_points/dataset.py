"""The points, as one table per split."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gentoolkit.protocols import Batch
from gentoolkit.randomness import integer_rows, normal_rows, uniform_rows

from . import PARTS, PointsConfig, Shape


def moons(part: Tensor, u: Tensor) -> Tensor:
    """Return points on two half circles of radius 1.5, each of which reaches into the other."""
    angle = torch.pi * (u[:, 0] + part)
    center = torch.stack([1.5 * part - 0.75, 0.75 * part - 0.375], dim=1)
    return 1.5 * torch.stack([angle.cos(), angle.sin()], dim=1) + center


def eight_gaussians(part: Tensor, u: Tensor) -> Tensor:
    """Return eight centers on a circle of radius 2.5."""
    angle = torch.pi / 4 * part
    return 2.5 * torch.stack([angle.cos(), angle.sin()], dim=1)


def checkerboard(part: Tensor, u: Tensor) -> Tensor:
    """Return points in eight of the sixteen squares of side 1 from -2 to 2."""
    row = part // 2
    column = 2 * (part % 2) + row % 2
    return torch.stack([column, row], dim=1) - 2 + u


def rings(part: Tensor, u: Tensor) -> Tensor:
    """Return points on circles of radius 1 and 2."""
    angle = 2 * torch.pi * u[:, 0]
    return (1 + part)[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)


SHAPES: dict[Shape, Callable[[Tensor, Tensor], Tensor]] = {
    "moons": moons,
    "eight_gaussians": eight_gaussians,
    "checkerboard": checkerboard,
    "rings": rings,
}


class Points:
    """The dataset. A sample depends only on (seed, shape, index); held-out samples start at `num_samples`.

    Args:
        config: The dataset's config.
        split: "train" or "held_out".
        seed: The run's seed.
    """

    def __init__(self, config: PointsConfig, split: str, seed: int) -> None:
        rows = np.arange(config.num_samples) + (0 if split == "train" else config.num_samples)
        purpose = f"points, {config.shape}"
        part = torch.from_numpy(integer_rows(seed, purpose, rows, PARTS[config.shape]))
        points = SHAPES[config.shape](part.float(), uniform_rows(seed, purpose, rows, (2,), 1))
        self.points = points + config.noise * normal_rows(seed, purpose, rows, (2,), 2)
        self.labels = part if config.labels else None

    def __len__(self) -> int:
        return len(self.points)

    def batch(self, indices: np.ndarray) -> Batch:
        """Return points (B, 2) float32, and labels (B,) int64 if there are any."""
        chosen = torch.from_numpy(np.asarray(indices, dtype=np.int64))
        return Batch(self.points[chosen], None if self.labels is None else self.labels[chosen])
