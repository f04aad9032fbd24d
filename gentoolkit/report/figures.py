"""What all figures share: sizes, colors, and axes at exact pixels.

matplotlib is imported only when needed and used through its object-oriented Agg interface, without pyplot or global
state. Equal inputs give equal files.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = NDArray[np.float64]

DPI = 200
#: Colors of text, real samples, generated samples and means, single steps, and validation.
INK, REAL, GENERATED, LIGHT, MARK = "#333333", "#9a9a9a", "#2a6f97", "#a9c9dd", "#d1495b"
#: Colors of classes, and of x0.
CLASSES = (GENERATED, MARK, "#e09f3e", "#4f9d69", "#7d5ba6", "#17a2b8", "#9c6644", "#e07a9f", "#7f8c2d", "#4a4e69")
NOISE = "#c3ccd4"


def heading(name: str) -> str:
    """Return "class 3" for the label "3", and any other name unchanged."""
    return f"class {name}" if name.isdecimal() else name


def new_figure(width: int, height: int) -> Figure:
    """Return an empty figure of this size in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def pixel_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes without a frame that cover exactly these pixels, with the origin at the top left."""
    total_width, total_height = figure.get_size_inches() * DPI
    bottom = total_height - top - height
    axes = figure.add_axes((left / total_width, bottom / total_height, width / total_width, height / total_height))
    axes.set_axis_off()
    return axes


def write_text(figure: Figure, x: float, y: float, text: str, align: str) -> None:
    """Write text at a point in pixels, with the origin at the top left; align is "left", "center" or "right"."""
    width, height = figure.get_size_inches() * DPI
    figure.text(x / width, 1 - y / height, text, ha=align, va="center", fontsize=8, color=INK, parse_math=False)


def plain(axes: Axes) -> None:
    """Give axes a light frame on two sides, and small text."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b0b0b0")
    axes.tick_params(which="both", labelsize=7, colors=INK)
    axes.xaxis.label.set(fontsize=8, color=INK)
    axes.yaxis.label.set(fontsize=8, color=INK)


def save(figure: Figure, path: Path | IO[bytes]) -> None:
    """Write a figure as PNG, without the name of a program or a date."""
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})
