"""Decode an image file, and say what is wrong with one that can't be used."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gentoolkit.datafiles import position

from . import ImageFolderConfig

#: Modes that convert to RGB and gray without loss or further knowledge.
MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr"})

warnings.simplefilter("error", Image.DecompressionBombWarning)  # more than 90 million pixels


class UnusableError(Exception):
    """Why an image can't be used."""


def decoded(path: Path, name: str, config: ImageFolderConfig, view: int | None) -> np.ndarray:
    """Return an image as (image_size, image_size, channels) uint8.

    Args:
        path: The file.
        name: The path below the folder, which random positions of the crop depend on.
        config: The config.
        view: Number of the random crop, or None for the center.

    Raises:
        UnusableError: The file can't be used.
    """
    try:
        with Image.open(path) as image:
            _require_usable(image)
            target = config.shorter_side or config.image_size
            image.draft(None, (2 * target, 2 * target))  # decodes a large JPEG file at a fraction of its size
            pixels = _opaque(ImageOps.exif_transpose(image), config.background)
            pixels = pixels.convert("RGB" if config.color == "rgb" else "L")
    except UnusableError:
        raise
    except Exception as error:  # Pillow raises errors of many types for damaged files
        raise UnusableError(_reason(path, error)) from None
    size = (config.image_size, config.image_size)
    squared = pixels.resize(size, Image.Resampling.BICUBIC, _box(pixels, name, config, view), reducing_gap=3.0)
    return np.asarray(squared).reshape(*size, -1)


def _box(
    image: Image.Image, name: str, config: ImageFolderConfig, view: int | None
) -> tuple[float, float, float, float] | None:
    """Return left, top, right and bottom of the crop, in pixels of the image, or None for all of it."""
    if config.crop == "none":
        return None
    side = min(image.size) * config.image_size / (config.shorter_side or config.image_size)
    at = (0.5, 0.5) if view is None else (position(f"{name} {view} {axis}") / 2**64 for axis in "xy")
    left, top = ((whole - side) * share for whole, share in zip(image.size, at, strict=True))
    return left, top, min(left + side, image.width), min(top + side, image.height)


def _require_usable(image: Image.Image) -> None:
    if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: a photo, with previews as further frames
        raise UnusableError(f"is animated: it has {getattr(image, 'n_frames', 'several')} frames")
    raw = str([part[3] for part in getattr(image, "tile", ())])  # PNG's RGB of 16 bits has mode RGB
    if image.mode[0] in "IF" or ";16" in raw:
        raise UnusableError("has more than 8 bits per channel; convert it to 8 bits")
    if image.mode not in MODES:
        raise UnusableError(f"has the color space {image.mode}; convert it to RGB")


def _opaque(image: Image.Image, background: str | None) -> Image.Image:
    """Return an image without transparent pixels. Raise UnusableError if it has some, but there is no background."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    if image.getchannel("A").getextrema() == (255, 255):
        return image
    if background is None:
        raise UnusableError("has transparent pixels; set background")
    return Image.alpha_composite(Image.new("RGBA", image.size, background), image)


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "is not an image that Pillow can read" if path.stat().st_size else "is empty"
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"has more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels"
    if isinstance(error, OSError) and error.strerror:
        return f"can't be read: {error.strerror}"
    return f"is damaged: {' '.join(str(error).split()) or type(error).__name__}"
