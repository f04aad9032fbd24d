"""Points (D,): panels of samples, and paths from x0 to samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gentoolkit.report.figures import (
    CLASSES,
    GENERATED,
    INK,
    NOISE,
    REAL,
    Values,
    heading,
    new_figure,
    pixel_axes,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Sizes in pixels of a panel and its margins.
PANEL, MARGIN = 640, 120
#: Number of pixels of the density along each axis, and the width of its kernel as a share of the panel.
PIXELS, KERNEL = 160, 1 / 40
#: Number of points that principal components are computed from.
FITTED = 1000


def plane_of(points: Values) -> Callable[[Values], Values]:
    """Return a map of points (..., D) to the plane, (..., 2): for D > 2, the first principal components of `points`."""
    size = points.shape[1]
    if size <= 2:
        return lambda x: x
    finite = points[np.isfinite(points).all(axis=1)]
    finite = finite[:: -(-len(finite) // FITTED) or 1]
    center, axes = np.zeros(size), np.eye(size)[:2]
    if len(finite) > 1:
        center = finite.mean(axis=0)
        axes = np.linalg.svd(finite - center, full_matrices=False)[2][:2]
        axes = axes * np.sign(axes[[0, 1], np.abs(axes).argmax(axis=1)])[:, None]
    return lambda x: (x - center) @ axes.T


def point_panels(sets: Mapping[str, Mapping[str, Values]]) -> Figure:
    """Return a panel for each set of points, such as "real" and "generated": class name -> points (N, D), D > 1.

    Points are drawn in the color of their class over the density of the first set. For D > 2, they are projected on the
    first two principal components of the first set.
    """
    real = np.concatenate([*next(iter(sets.values())).values()])
    project = plane_of(real)
    shown = project(real)
    low, high = shown.min(axis=0), shown.max(axis=0)
    span = high - low + 1e-12
    if span.max() < 3 * span.min():  # of the same unit, it seems: keep circles round
        span[:] = span.max()
    limits = np.stack([(low + high) / 2 - 0.65 * span, (low + high) / 2 + 0.65 * span])
    figure = new_figure(len(sets) * (PANEL + MARGIN) + MARGIN // 2, PANEL + 2 * MARGIN)
    background = density(shown, limits)
    for k, (title, classes) in enumerate(sets.items()):
        axes = pixel_axes(figure, MARGIN + k * (PANEL + MARGIN), MARGIN, PANEL, PANEL)
        axes.set_axis_on()
        extent = (*limits[:, 0], *limits[:, 1])
        axes.imshow(background, "Greys", extent=extent, origin="lower", aspect="auto", vmin=0, vmax=1.8, zorder=0)
        total = sum(map(len, classes.values()))
        for (name, points), color in zip(classes.items(), CLASSES, strict=False):
            size = 3 if total < 3000 else 1.5
            axes.plot(*project(points).T[:2], ".", markersize=size, alpha=0.7, color=color, label=heading(name))
        axes.set_xlim(*limits[:, 0])
        axes.set_ylim(*limits[:, 1])
        axes.set_title(title, fontsize=8, color=INK)
        _name_axes(axes, real.shape[1])
        plain(axes)
    if len(sets) and len(next(iter(sets.values()))) > 1:
        figure.axes[0].legend(frameon=False, fontsize=6, labelcolor=INK, loc="upper right", markerscale=2)
    return figure


def density(points: Values, limits: Values) -> Values:
    """Return a kernel density estimate in the rectangle `limits`, (2 ends, 2), as pixels (y, x) of at most 1."""
    with np.errstate(under="ignore"):
        x, y = (
            np.exp(-(((np.linspace(low, high, PIXELS)[:, None] - values) / (KERNEL * (high - low))) ** 2) / 2)
            for values, (low, high) in zip(points.T, limits.T, strict=True)
        )
        sums = y @ x.T
    return sums / sums.max()


def histograms(real: Mapping[str, Values], generated: Mapping[str, Values]) -> Figure:
    """Return a panel for each class of numbers, (N, 1), with the histograms of both."""
    size = 400
    figure = new_figure(len(real) * (size + MARGIN) + MARGIN // 2, size + 2 * MARGIN)
    everything = np.concatenate([*real.values()])
    low, high = everything.min(), everything.max()
    pad = 0.25 * (high - low) + 1e-12
    bins = np.linspace(low - pad, high + pad, 41).tolist()
    for k, (name, values) in enumerate(real.items()):
        axes = pixel_axes(figure, MARGIN + k * (size + MARGIN), MARGIN, size, size)
        axes.set_axis_on()
        axes.set_xlim(bins[0], bins[-1])
        axes.hist(values[:, 0], bins, density=True, color=REAL, label="real")
        if name in generated:
            shape = generated[name][:, 0]
            axes.hist(shape, bins, density=True, histtype="step", color=GENERATED, label="generated")
        axes.set_title(heading(name), fontsize=8, color=INK, parse_math=False)
        plain(axes)
    if generated:
        figure.axes[0].legend(frameon=False, fontsize=7, labelcolor=INK, loc="upper right")
    return figure


def point_paths(states: Values, times: Sequence[float], labels: Sequence[str]) -> Figure:
    """Return a figure of paths from x0 to samples; see `gentoolkit.report.pictures.trajectory_paths`."""
    from matplotlib.colors import to_rgb

    t, size = np.asarray(times), states.shape[2]
    if size == 1:
        states = np.concatenate([np.broadcast_to(t[:, None, None], states.shape), states], axis=2)
    else:
        states = plane_of(states[-1])(states)
    names = list(dict.fromkeys(labels))
    figure = new_figure(1200, 1200)
    axes = figure.add_axes((0.1, 0.08, 0.88, 0.84))
    axes.plot(*states[0].T, ".", color=NOISE, markersize=3, label="start, t = 0")
    for k, name in enumerate(names):
        ways, color = states[:, [label == name for label in labels]], CLASSES[k % len(CLASSES)]
        # The color of each segment is interpolated from x0 to class by the time at its end.
        shades = np.linspace(0, 1, len(t))[1:, None] if len(t) < 2 else t[1:, None]
        colors = (1 - shades) * np.array(to_rgb(NOISE)) + shades * np.array(to_rgb(color))
        pieces = np.stack([ways[:-1], ways[1:]], axis=2)  # (T - 1, n, 2 ends, 2)
        _lines(axes, pieces.reshape(-1, 2, 2), colors.repeat(ways.shape[1], axis=0))
        text = "sample, t = 1" if len(names) == 1 else heading(name)
        axes.plot(*ways[-1].T, "o", color=color, label=text, markersize=5, markeredgewidth=0.4, markeredgecolor="white")
    if size > 1:
        axes.set_aspect("equal", adjustable="datalim")
    else:
        axes.set_xlabel("t")
    _name_axes(axes, size)
    plain(axes)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=6)
    return figure


def _name_axes(axes: Axes, size: int) -> None:
    if size > 2:
        axes.set_xlabel("principal component 1")
        axes.set_ylabel("principal component 2")


def _lines(axes: Axes, pieces: Values, colors: Values) -> None:
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection(list(pieces), colors=colors, linewidths=0.7, alpha=0.45, zorder=2))
