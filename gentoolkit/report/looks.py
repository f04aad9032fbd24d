"""The conversion of samples to colors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """How samples (C, H, W) are converted to colors.

    Attributes:
        colormap: For data other than images: the matplotlib colormap of channel 0, over the range of a real sample.
            None for images: three channels are drawn in color, one channel in gray, and any other number as channel 0
            in viridis.
        value_range: The values of black and white in images. None for the range of a real sample.
    """

    colormap: str | None = None
    value_range: tuple[float, float] | None = None

    def is_color(self, samples: Array) -> bool:
        """Return whether samples (..., C, H, W) are drawn as color images, without a colormap."""
        return self.colormap is None and samples.shape[-3] == 3

    def map_name(self, samples: Array) -> str:
        """Return the name of the colormap for samples (..., C, H, W) that are not color images."""
        return self.colormap or ("gray" if samples.shape[-3] == 1 else "viridis")

    def fractions(self, samples: Array, like: Array) -> Array:
        """Return the channels to draw, scaled to [0, 1]. NaN becomes 0.

        Args:
            samples: The samples, (..., C, H, W).
            like: The sample that defines the range if no other range is known, (C, H, W), or one for each sample,
                broadcast against them.

        Returns:
            Three channels (..., 3, H, W) for color images, otherwise channel 0, (..., 1, H, W).
        """
        color, name = self.is_color(samples), self.map_name(samples)
        if not color:
            samples, like = samples[..., :1, :, :], like[..., :1, :, :]
        axes = (-3, -2, -1)
        low: float | Array = like.min(axis=axes, keepdims=True)
        high: float | Array = like.max(axis=axes, keepdims=True)
        if self.value_range is not None and (color or name == "gray"):
            low, high = self.value_range
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return np.nan_to_num((samples - low) / (high - low), nan=0.0).clip(0, 1)

    def pixels(self, samples: Array, like: Array) -> NDArray[np.uint8]:
        """Return the samples as RGB, (..., H, W, 3)."""
        from matplotlib import colormaps

        fractions = self.fractions(samples, like)
        if self.is_color(samples):
            return (np.moveaxis(fractions, -3, -1) * 255).round().astype(np.uint8)
        colors: NDArray[np.uint8] = colormaps[self.map_name(samples)](fractions[..., 0, :, :], bytes=True)[..., :3]
        return colors


#: Images with an unknown range of values.
IMAGES = Look()
