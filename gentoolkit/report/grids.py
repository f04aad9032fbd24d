"""Grids of samples: images, and sequences as lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gentoolkit.report.figures import CLASSES, Values, new_figure, pixel_axes, write_text
from gentoolkit.report.looks import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Sizes in pixels: longer side of an image (approximately), gap between samples, and left and top margins for headings.
CELL, GAP, LEFT, TOP = 192, 12, 140, 44
#: Width and height in pixels of a cell with lines.
LINES = (288, 192)

Columns = Sequence[tuple[Values, Values]]


def image_grid(columns: Columns, titles: Sequence[str], kinds: Sequence[str], look: Look) -> Figure:
    """Return a grid of images; see `_grid`.

    Args:
        columns: For each column the images (N, C, H, W), and one (C, H, W) whose values define the range of colors if
            the look has none.
        titles: Heading of each column.
        kinds: Heading of each row.
        look: How images are converted to colors.
    """
    cells = [look.pixels(images, like) for images, like in columns]
    height, width = cells[0].shape[1:3]
    scale = max(1, round(CELL / max(height, width)))

    def draw(axes: Axes, image: Any) -> None:
        axes.imshow(image, interpolation="nearest", aspect="auto")

    return _grid(cells, titles, kinds, (width * scale, height * scale), draw)


def line_grid(columns: Sequence[Values], titles: Sequence[str], kinds: Sequence[str], like: Values) -> Figure:
    """Return a grid of sequences, (N, C, L) in each column, with a line for each of the first channels; see `_grid`.

    All cells have the same limits: the range of `like`, and a quarter of it on either side.
    """
    low, high = like.min(), like.max()
    pad = (high - low) / 4 or 1.0

    def draw(axes: Axes, sequence: Values) -> None:
        axes.set_axis_on()
        axes.set(xlim=(0, max(1, sequence.shape[1] - 1)), ylim=(low - pad, high + pad), xticks=[], yticks=[])
        axes.spines[:].set_color("#d8d8d8")
        marker = "" if sequence.shape[1] > 1 else "."
        for channel, color in zip(sequence, CLASSES, strict=False):
            axes.plot(channel, marker=marker, color=color, linewidth=0.9)

    return _grid(columns, titles, kinds, LINES, draw)


def _grid(
    columns: Sequence[Any],
    titles: Sequence[str],
    kinds: Sequence[str],
    size: tuple[int, int],
    draw: Callable[[Axes, Any], None],
) -> Figure:
    """Draw cells of this size in columns, with headings of columns and rows."""
    width, height = size
    rows, cols = max(map(len, columns)), len(columns)
    left = LEFT if any(kinds) else GAP
    top = TOP if any(titles) else GAP
    figure = new_figure(left + cols * (width + GAP), top + rows * (height + GAP))
    for k, column in enumerate(columns):
        for i, cell in enumerate(column):
            draw(pixel_axes(figure, left + k * (width + GAP), top + i * (height + GAP), width, height), cell)
    for col, text in zip(range(cols), titles, strict=False):
        write_text(figure, left + col * (width + GAP) + width / 2, TOP / 2, text, "center")
    for row, text in zip(range(rows), kinds, strict=False):
        write_text(figure, left - GAP, top + row * (height + GAP) + height / 2, text, "right")
    return figure
