"""The conversion of images to what networks for photographs expect."""

from __future__ import annotations

from torch import Tensor


def unit_colors(x: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Return images (N, 1 or 3, H, W) as colors in [0, 1], (N, 3, H, W). Values outside of the range are clipped."""
    low, high = value_range
    return ((x - low) / (high - low)).clamp(0, 1).expand(-1, 3, -1, -1)
