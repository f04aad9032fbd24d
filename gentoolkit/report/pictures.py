"""The loss curve, samples and paths as PNG files.

matplotlib is imported only when needed and used through its object-oriented Agg interface, without pyplot or global
state. Equal inputs give equal files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gentoolkit.records import Evaluation, Record, Step, Validation
from gentoolkit.report.looks import IMAGES, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 200
#: Colors of text, real samples, generated samples and means, single steps, and validation.
INK, REAL, GENERATED, LIGHT, MARK = "#333333", "#9a9a9a", "#2a6f97", "#a9c9dd", "#d1495b"
#: Colors of classes, and of x0.
CLASSES = (GENERATED, MARK, "#e09f3e", "#4f9d69", "#7d5ba6", "#17a2b8", "#9c6644", "#e07a9f", "#7f8c2d", "#4a4e69")
NOISE = "#c3ccd4"
#: Maximum number of classes, and of generated samples per class, in a grid.
MAX_CLASSES, MAX_GENERATED = 10, 3
#: Sizes in pixels: longer side of a sample (approximately), gap between samples, and left and top margins for headings.
CELL, GAP, LEFT, TOP = 192, 12, 140, 44

Samples = Mapping[str, ArrayLike]


def loss_curve(records: Sequence[Record], path: Path | IO[bytes]) -> bool:
    """Draw velocity errors over the steps, on a logarithmic axis: in training, validation and the last evaluation.

    The validation loss is a velocity error whatever the objective minimizes, so the curve of training shows that too,
    if it is recorded. A dashed line shows the loss of the reference field.

    Args:
        records: Records of a run. Values that are not positive and finite are left out.
        path: The PNG file to write, or an open file.

    Returns:
        Whether there was anything to draw.
    """
    from matplotlib.ticker import AutoLocator, LogLocator, NullLocator

    steps, losses = _series(
        (r.step, r.loss if r.velocity_error is None else r.velocity_error) for r in records if isinstance(r, Step)
    )
    evaluations = [r for r in records if isinstance(r, Evaluation)]
    points = [(r.step, r.loss) for r in records if isinstance(r, Validation)]
    validated, validations = _series([*points, *((r.step, r.validation.loss) for r in evaluations[-1:])])
    if not steps.size and not validated.size:
        return False
    figure = _figure(1600, 800)
    axes = figure.add_axes((0.08, 0.14, 0.9, 0.82))
    axes.plot(steps, losses, color=LIGHT, linewidth=0.8, label="training loss, each step")
    axes.plot(steps, moving_mean(losses), color=GENERATED, linewidth=1.6, label="training loss, moving mean")
    last = f" ({validations[-1]:.4g} at the end)" if validated.size else ""
    axes.plot(validated, validations, "o", color=MARK, markersize=5, zorder=3, label=f"validation loss{last}")
    reference = evaluations[-1].validation.reference if evaluations else None
    if reference is not None and reference.loss is not None and reference.loss > 0:
        label = f"{reference.name} ({reference.loss:.4g})"
        axes.axhline(reference.loss, color=INK, linewidth=1, linestyle=(0, (4, 3)), label=label)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 10 * low else AutoLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlim(left=0)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    _plain(axes)
    drawn = [line for line in axes.get_lines() if len(np.asarray(line.get_xdata()))]
    axes.legend(handles=drawn, frameon=False, fontsize=8, labelcolor=INK, loc="best")
    _save(figure, path)
    return True


def moving_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centered moving mean of n values, with windows of about sqrt(n) values.

    At the start, where losses fall steeply, the window shrinks on both sides. At the end, where they are flat, it
    shrinks only on the right, so that the last means still average many values.
    """
    n = len(values)
    center = np.arange(n)
    first = center - np.minimum(round(math.sqrt(n) / 2), center)
    end = np.minimum(2 * center - first, n - 1) + 1
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[end] - sums[first]) / (end - first)


def _series(points: Iterable[tuple[int, float | None]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the steps and losses of the points that can be drawn."""
    steps, losses = np.array([*points], dtype=np.float64).reshape(-1, 2).T  # None becomes NaN
    drawable = np.isfinite(losses) & (losses > 0)
    return steps[drawable], losses[drawable]


def sample_grid(real: Samples, generated: Samples, path: Path | IO[bytes], look: Look = IMAGES) -> bool:
    """Draw real and generated samples, one column per class (the first `MAX_CLASSES`).

    Samples (C, H, W): the first real sample on top, the first `MAX_GENERATED` generated samples below. If the look has
    no value range, the colors of a class span the values of its real sample, so they are comparable within a column. A
    single class is drawn as a row. Samples (D,): the first two coordinates, or a histogram for D = 1.

    Args:
        real: Class name -> samples, (N, *S).
        generated: The same class names -> samples, (M, *S).
        path: The PNG file to write, or an open file.
        look: How samples (C, H, W) are converted to colors.

    Returns:
        False if samples of this shape cannot be drawn.
    """
    names = list(real)[:MAX_CLASSES]
    pairs = {name: (np.asarray(real[name], np.float64), np.asarray(generated[name], np.float64)) for name in names}
    rank = {array.ndim for pair in pairs.values() for array in pair}
    if rank == {4}:
        figure = _image_grid(pairs, look)
    elif rank == {2}:
        figure = _point_panels(pairs)
    else:
        return False
    _save(figure, path)
    return True


def heading(name: str) -> str:
    """Return "class 3" for the label "3", and any other name unchanged."""
    return f"class {name}" if name.isdecimal() else name


def _image_grid(pairs: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], look: Look) -> Figure:
    columns = [
        look.pixels(np.concatenate([real[:1], generated[:MAX_GENERATED]]), real[0])
        for real, generated in pairs.values()
    ]
    down, across = max(map(len, columns)), len(columns)
    one_class = across == 1
    height, width = columns[0].shape[1:3]
    scale = max(1, round(CELL / max(height, width)))
    height, width = height * scale, width * scale
    rows, cols = (across, down) if one_class else (down, across)
    figure = _figure(LEFT + cols * (width + GAP), TOP + rows * (height + GAP))
    for k, column in enumerate(columns):
        for i, image in enumerate(column):
            row, col = (k, i) if one_class else (i, k)
            axes = _pixel_axes(figure, LEFT + col * (width + GAP), TOP + row * (height + GAP), width, height)
            axes.imshow(image, interpolation="nearest", aspect="auto")
    classes, kinds = [heading(name) for name in pairs], ["real", "generated"]
    for col, text in zip(range(cols), kinds if one_class else classes, strict=False):
        _text(figure, LEFT + col * (width + GAP) + width / 2, TOP / 2, text, "center")
    for row, text in zip(range(rows), classes if one_class else kinds, strict=False):
        _text(figure, LEFT - GAP, TOP + row * (height + GAP) + height / 2, text, "right")
    return figure


def _point_panels(pairs: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Figure:
    size, margin = 400, 84
    figure = _figure(len(pairs) * (size + margin) + margin // 2, size + 2 * margin)
    everything = np.concatenate([real for real, _ in pairs.values()])
    low, high = everything.min(axis=0), everything.max(axis=0)
    pad = 0.25 * (high - low) + 1e-12
    for k, (name, (real, generated)) in enumerate(pairs.items()):
        axes = _pixel_axes(figure, margin + k * (size + margin), margin, size, size)
        axes.set_axis_on()
        axes.set_xlim(low[0] - pad[0], high[0] + pad[0])
        if real.shape[1] == 1:
            bins = np.linspace(low[0] - pad[0], high[0] + pad[0], 41).tolist()
            axes.hist(real[:, 0], bins, density=True, color=REAL, label="real")
            axes.hist(generated[:, 0], bins, density=True, histtype="step", color=GENERATED, label="generated")
        else:
            axes.set_ylim(low[1] - pad[1], high[1] + pad[1])
            axes.plot(*real.T[:2], ".", markersize=3, color=REAL, label="real")
            axes.plot(*generated.T[:2], ".", markersize=3, alpha=0.7, color=GENERATED, label="generated")
        axes.set_title(heading(name), fontsize=8, color=INK, parse_math=False)
        _plain(axes)
    figure.axes[0].legend(frameon=False, fontsize=7, labelcolor=INK, loc="upper right")
    return figure


def trajectory_paths(frames: ArrayLike, times: Sequence[float], labels: Sequence[str], path: Path | IO[bytes]) -> bool:
    """Draw the paths of points from x0 (gray) to samples (in the color of their class).

    The first two coordinates are drawn, or for D = 1 the value over t. Colors repeat after ten classes.

    Args:
        frames: The states, (T, N, D). NaN values are left out.
        times: Their times, (T,).
        labels: The class of each of the N points, or the same name for all.
        path: The PNG file to write, or an open file.

    Returns:
        False if the states do not have the shape (T, N, D).
    """
    from matplotlib.colors import to_rgb

    states = np.asarray(frames, dtype=np.float64)
    if states.ndim != 3 or 0 in states.shape:
        return False
    t = np.asarray(times)
    if states.shape[2] == 1:
        states = np.concatenate([np.broadcast_to(t[:, None, None], states.shape), states], axis=2)
    names = list(dict.fromkeys(labels))
    figure = _figure(1200, 1200)
    axes = figure.add_axes((0.07, 0.06, 0.9, 0.86))
    axes.plot(*states[0].T[:2], ".", color=NOISE, markersize=3, label="start, t = 0")
    for k, name in enumerate(names):
        ways, color = states[:, [label == name for label in labels], :2], CLASSES[k % len(CLASSES)]
        # The color of each segment is interpolated from x0 to class by the time at its end.
        shades = np.linspace(0, 1, len(t))[1:, None] if len(t) < 2 else t[1:, None]
        colors = (1 - shades) * np.array(to_rgb(NOISE)) + shades * np.array(to_rgb(color))
        pieces = np.stack([ways[:-1], ways[1:]], axis=2)  # (T - 1, n, 2 ends, 2)
        _lines(axes, pieces.reshape(-1, 2, 2), colors.repeat(ways.shape[1], axis=0))
        text = "sample, t = 1" if len(names) == 1 else heading(name)
        axes.plot(*ways[-1].T, "o", color=color, label=text, markersize=5, markeredgewidth=0.4, markeredgecolor="white")
    if np.asarray(frames).shape[2] > 1:
        axes.set_aspect("equal", adjustable="datalim")
    else:
        axes.set_xlabel("t")
    _plain(axes)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=6)
    _save(figure, path)
    return True


def _lines(axes: Axes, pieces: NDArray[np.float64], colors: NDArray[np.float64]) -> None:
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection(list(pieces), colors=colors, linewidths=0.7, alpha=0.45, zorder=2))


def _figure(width: int, height: int) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _pixel_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes without a frame that cover exactly these pixels, with the origin at the top left."""
    total_width, total_height = figure.get_size_inches() * DPI
    bottom = total_height - top - height
    axes = figure.add_axes((left / total_width, bottom / total_height, width / total_width, height / total_height))
    axes.set_axis_off()
    return axes


def _text(figure: Figure, x: float, y: float, text: str, align: str) -> None:
    width, height = figure.get_size_inches() * DPI
    figure.text(x / width, 1 - y / height, text, ha=align, va="center", fontsize=8, color=INK, parse_math=False)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b0b0b0")
    axes.tick_params(which="both", labelsize=7, colors=INK)
    axes.xaxis.label.set(fontsize=8, color=INK)
    axes.yaxis.label.set(fontsize=8, color=INK)


def _save(figure: Figure, path: Path | IO[bytes]) -> None:
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})
