"""The sampling trajectory as a GIF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gentoolkit.report.figures import heading
from gentoolkit.report.looks import IMAGES, Look

#: The palette: colors for samples, then grays from white to dark for text.
COLORS, GREYS = 240, 16
WHITE = COLORS
#: Sizes in pixels: longer side of a sample (approximately), gap between samples, height of a line of text.
CELL, GAP, LINE = 128, 8, 22
COLUMNS, MAX_FRAMES = 8, 60
FRAME_MS, LAST_FRAME_MS = 90, 1200


def trajectory_gif(
    frames: ArrayLike,
    times: Sequence[float],
    labels: Sequence[str],
    path: Path | IO[bytes],
    look: Look = IMAGES,
) -> bool:
    """Animate samples from noise to data, with t in the lower left corner.

    If the look has no value range, the colors of a sample span the values of its last frame. Long trajectories are
    reduced to `MAX_FRAMES` evenly spaced frames, including the first and the last. The last frame is shown for
    `LAST_FRAME_MS`, then the GIF repeats.

    Args:
        frames: The states, (T, N, C, H, W).
        times: Their times, (T,).
        labels: Name of each of the N samples, e.g. its class.
        path: The GIF file to write, or an open file.
        look: How samples are converted to colors.

    Returns:
        False if the states do not have the shape (T, N, C, H, W).
    """
    states = np.asarray(frames, dtype=np.float64)
    if states.ndim != 5 or 0 in states.shape:
        return False
    shown = np.linspace(0, len(states) - 1, min(len(states), MAX_FRAMES)).round().astype(int)
    names = [heading(label) for label in labels]
    scale = max(1, round(CELL / max(states.shape[3:])))
    tiles, palettes = _indexed(states[shown], look)
    tiles = tiles.repeat(scale, axis=2).repeat(scale, axis=3)
    pages = [_page(frame, names, f"t = {times[k]:.2f}") for k, frame in zip(shown, tiles, strict=True)]
    _write(pages, palettes, path)
    return True


def _indexed(states: NDArray[np.float64], look: Look) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Convert states (T, N, C, H, W) to indices (T, N, H, W) into palettes (T, COLORS, 3), one per frame.

    With a colormap, all palettes are the colormap. For color images, each frame gets its own palette.
    """
    from matplotlib import colormaps
    from PIL import Image

    if not look.is_color(states):
        levels = (look.fractions(states, states[-1])[:, :, 0] * (COLORS - 1)).round().astype(np.uint8)
        colormap = colormaps[look.map_name(states)](np.linspace(0, 1, COLORS), bytes=True)[:, :3]
        return levels, np.broadcast_to(colormap, (len(states), COLORS, 3))
    pixels = look.pixels(states, states[-1])  # (T, N, H, W, 3)
    images = [Image.fromarray(frame.reshape(-1, frame.shape[-2], 3)).quantize(COLORS) for frame in pixels]
    palettes = [np.resize(np.array(image.getpalette(), np.uint8), (COLORS, 3)) for image in images]
    return np.stack([np.asarray(image) for image in images]).reshape(pixels.shape[:-1]), np.stack(palettes)


def _page(tiles: NDArray[np.uint8], names: Sequence[str], corner: str) -> NDArray[np.uint8]:
    """Return one frame: tiles (N, h, w) in rows of `COLUMNS`, each below its name, with `corner` at the bottom."""
    n, height, width = tiles.shape
    columns = min(n, COLUMNS)
    rows = -(-n // columns)
    page_width = GAP + columns * (width + GAP)
    page = np.full((rows * (LINE + height) + LINE + GAP // 2, page_width), WHITE, dtype=np.uint8)
    for i, (tile, name) in enumerate(zip(tiles, names, strict=True)):
        top, left = i // columns * (LINE + height), GAP + i % columns * (width + GAP)
        page[top : top + LINE, left : left + width] = _text(name, width)
        page[top + LINE : top + LINE + height, left : left + width] = tile
    page[-LINE - 2 : -2, GAP:] = _text(corner, page_width - GAP)
    return page


def _text(text: str, width: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw, ImageFont

    line = Image.new("L", (width, LINE))
    ImageDraw.Draw(line).text((0, LINE / 2), text, fill=255, font=ImageFont.load_default(size=13), anchor="lm")
    return (WHITE + (np.asarray(line) / 255 * (GREYS - 1)).round()).astype(np.uint8)


def _write(pages: Sequence[NDArray[np.uint8]], palettes: NDArray[np.uint8], path: Path | IO[bytes]) -> None:
    from PIL import Image

    greys = np.linspace(255, 40, GREYS).round().astype(int)[:, None].repeat(3, axis=1)
    images = [Image.fromarray(page) for page in pages]
    for image, palette in zip(images, palettes, strict=True):
        image.putpalette([int(value) for value in np.concatenate([palette, greys]).ravel()])
    durations = [FRAME_MS] * (len(images) - 1) + [LAST_FRAME_MS]
    images[0].save(path, format="GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
