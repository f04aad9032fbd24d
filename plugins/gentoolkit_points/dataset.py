"""The shapes in the plane, as one table per split."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gentoolkit.randomness import integer_rows, normal_rows, uniform_rows

from . import PARTS, PointsConfig, Shape
from .mixture import Mixture
from .table import Table, split_rows


def moons(part: Tensor, u: Tensor) -> Tensor:
    """Return points on two half circles of radius 1.5, each of which reaches into the other."""
    center = torch.stack([1.5 * part - 0.75, 0.75 * part - 0.375], dim=1)
    return polar(1.5, torch.pi * (u[:, 0] + part)) + center


def eight_gaussians(part: Tensor, u: Tensor) -> Tensor:
    """Return eight centers on a circle of radius 2.5."""
    return polar(2.5, torch.pi / 4 * part)


def checkerboard(part: Tensor, u: Tensor) -> Tensor:
    """Return points in eight of the sixteen squares of side 1 from -2 to 2."""
    row = part // 2
    column = 2 * (part % 2) + row % 2
    return torch.stack([column, row], dim=1) - 2 + u


def rings(part: Tensor, u: Tensor) -> Tensor:
    """Return points on circles of radius 1 and 2."""
    return polar(1 + part, 2 * torch.pi * u[:, 0])


def swiss_roll(part: Tensor, u: Tensor) -> Tensor:
    """Return points on a spiral of one and a half turns, whose radius grows with the angle from 1 to 3."""
    angle = 1.5 * torch.pi * (1 + 2 * u[:, 0])
    return polar(angle / (1.5 * torch.pi), angle)


def s_curve(part: Tensor, u: Tensor) -> Tensor:
    """Return points on two arcs of radius 1.25, three quarters of a circle each, that form an S."""
    upper = polar(1.25, -torch.pi / 2 - 1.5 * torch.pi * u[:, 0]) + torch.tensor([0, 1.25])
    return (2 * part - 1)[:, None] * upper


def pinwheel(part: Tensor, u: Tensor) -> Tensor:
    """Return points on five arms, whose radius grows from 0.5 to 2.75 while they turn by 1.5 radians."""
    return polar(0.5 + 2.25 * u[:, 0], 2 * torch.pi / 5 * part + 1.5 * u[:, 0])


def polar(radius: Tensor | float, angle: Tensor) -> Tensor:
    """Return points in the plane, (N, 2), from polar coordinates (N,)."""
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


SHAPES: dict[Shape, Callable[[Tensor, Tensor], Tensor]] = {
    "moons": moons,
    "eight_gaussians": eight_gaussians,
    "checkerboard": checkerboard,
    "rings": rings,
    "swiss_roll": swiss_roll,
    "s_curve": s_curve,
    "pinwheel": pinwheel,
}


class Points(Table):
    """The dataset. A sample depends only on (seed, shape, index); held-out samples start at `num_samples`.

    Args:
        config: The dataset's config.
        split: "train" or "held_out".
        seed: The run's seed.
    """

    def __init__(self, config: PointsConfig, split: str, seed: int) -> None:
        rows = split_rows(config.num_samples, split)
        purpose = f"points, {config.shape}"
        part = torch.from_numpy(integer_rows(seed, purpose, rows, PARTS[config.shape]))
        points = SHAPES[config.shape](part.float(), uniform_rows(seed, purpose, rows, (2,), 1))
        noise = config.noise * normal_rows(seed, purpose, rows, (2,), 2)
        super().__init__(points + noise, part if config.labels else None)


class EightGaussians(Points):
    """Points of the shape `eight_gaussians`, with their exact posterior mean."""

    def __init__(self, config: PointsConfig, split: str, seed: int) -> None:
        super().__init__(config, split, seed)
        means = eight_gaussians(torch.arange(8).double(), torch.empty(0))
        spread = config.noise**2 * torch.eye(2, dtype=torch.float64).expand(8, 2, 2)
        self.mixture = Mixture(means, spread, torch.ones(8).double())

    def denoised(self, x_t: Tensor, alpha: Tensor, sigma: Tensor, condition: Tensor | None) -> Tensor:
        """Return E[x1 | x_t, condition], (B, 2) float64; see `Mixture.denoised`."""
        return self.mixture.denoised(x_t, alpha, sigma, condition)


def points(config: PointsConfig, split: str, seed: int) -> Points:
    """Return the dataset."""
    return (EightGaussians if config.shape == "eight_gaussians" else Points)(config, split, seed)
