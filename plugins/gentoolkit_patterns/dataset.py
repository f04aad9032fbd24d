"""The four patterns, computed on demand, so that the number of samples does not affect the memory."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gentoolkit.protocols import Batch
from gentoolkit.randomness import numpy_generator

from . import NUM_CLASSES, PatternsConfig
from .posterior import Posterior


def patterns(image_size: int) -> NDArray[np.float64]:
    """Return the clean patterns, (4, image_size, image_size) float64, x along the width and y along the height.

    At the border, class 2 contains sin(3 pi), which is zero only up to rounding. In float64 it is about +4e-16, so the
    sign there is that of the neighboring square, and no border value is 0.
    """
    grid = np.linspace(-np.pi, np.pi, image_size)
    x, y = np.meshgrid(grid, grid, indexing="xy")
    radius = np.sqrt(x**2 + y**2)
    return np.stack(
        [
            np.sin(2 * x),
            np.sin(4 * y),
            np.sign(np.sin(3 * x) * np.sin(3 * y)),
            np.exp(-(radius**2) / 2) * np.cos(4 * radius),
        ]
    )


class Patterns:
    """The dataset. Sample i has class i mod 4 and depends only on (seed, i); held-out samples start at `num_samples`.

    Args:
        config: The dataset's config.
        split: "train" or "held_out".
        seed: The run's seed.
    """

    def __init__(self, config: PatternsConfig, split: str, seed: int) -> None:
        self.config = config
        self.seed = seed
        self.first = 0 if split == "train" else config.num_samples
        channel_offsets = 0.1 * np.arange(config.channels).reshape(-1, 1, 1)
        self.clean = patterns(config.image_size)[:, None] + channel_offsets  # (4, C, H, W)

    def __len__(self) -> int:
        return self.config.num_samples // NUM_CLASSES * NUM_CLASSES

    def batch(self, indices: np.ndarray) -> Batch:
        """Return x1 (B, C, H, W) float32 in [-1, 1] and labels (B,) int64."""
        absolute = self.first + np.asarray(indices, dtype=np.int64)
        labels = absolute % NUM_CLASSES
        x1 = self.clean[labels]
        for row, index in zip(x1, absolute, strict=True):
            row += self.config.noise_level * numpy_generator(self.seed, "patterns", int(index)).standard_normal(
                row.shape
            )
            row /= np.abs(row).max()
        return Batch(torch.from_numpy(x1.astype(np.float32)), torch.from_numpy(labels))

    def denoised(self, x_t: Tensor, alpha: Tensor, sigma: Tensor, condition: Tensor | None) -> Tensor:
        """Return E[x1 | alpha x1 + sigma x0 = x_t, label], (B, C, H, W) float64; see `posterior.py`."""
        assert condition is not None
        mean = torch.empty_like(x_t)
        for label in condition.unique().tolist():
            rows = condition == label
            x = x_t[rows].flatten(1)
            mean[rows] = self._posteriors[label](x, alpha[rows], sigma[rows]).view_as(x_t[rows])
        return mean

    @cached_property
    def _posteriors(self) -> list[Posterior]:
        clean = torch.from_numpy(self.clean).flatten(1)
        return [Posterior(pattern, self.config.noise_level) for pattern in clean]
