"""How samples become colors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """The look of samples (C, H, W).

    Attributes:
        colormap: The matplotlib colormap for channel 0, over the range of a real sample, of data that is no image. None
            for images: three channels are drawn in color, a single one in grey, and any other number as channel 0 in
            viridis.
        value_range: The values that are black and white in images; None for the range of a real sample.
    """

    colormap: str | None = None
    value_range: tuple[float, float] | None = None

    def is_color(self, samples: Array) -> bool:
        """Return whether samples (..., C, H, W) are drawn in color, without a colormap."""
        return self.colormap is None and samples.shape[-3] == 3

    def map_name(self, samples: Array) -> str:
        """Return the colormap of samples (..., C, H, W) that are not drawn in color."""
        return self.colormap or ("gray" if samples.shape[-3] == 1 else "viridis")

    def fractions(self, samples: Array, like: Array) -> Array:
        """Return what is drawn of the samples, scaled to [0, 1]; what is no number is 0.

        Args:
            samples: (..., C, H, W).
            like: The sample whose range is taken where no other is known, (C, H, W), or one for each of the samples,
                broadcasting against them.

        Returns:
            (..., 3, H, W) in color, else channel 0, (..., 1, H, W).
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
        """Return the samples as red, green and blue, (..., H, W, 3)."""
        from matplotlib import colormaps

        fractions = self.fractions(samples, like)
        if self.is_color(samples):
            return (np.moveaxis(fractions, -3, -1) * 255).round().astype(np.uint8)
        colors: NDArray[np.uint8] = colormaps[self.map_name(samples)](fractions[..., 0, :, :], bytes=True)[..., :3]
        return colors


#: Images whose range is not known.
IMAGES = Look()
