"""The pictures of benchmarks/README.md: what was measured, and beside it what would be expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cost import AXES, Cost, Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MEASURED, MODEL, PART = "#333333", "#2a6f97", "#d1495b", "#9a9a9a"
LABELS = {"depth": "layers L", "width": "width D", "tokens": "tokens N", "batch": "batch size B"}
SMALL = {"fontsize": 8, "labelcolor": INK, "frameon": False}


def draw_data(memory: Mapping[int, list[float]], seconds: Mapping[int, list[float]], file: Path) -> None:
    """Draw memory (where there is any) and step time over the number of samples, with what a table would take."""
    panels = [(memory, 2**-20, "memory of a whole run, MiB"), (seconds, 1e3, "training step, ms")]
    panels = [panel for panel in panels if panel[0]]
    figure, axes = _panels(1, len(panels), (4.6 * len(panels), 3.4))
    for ax, (measured, factor, label) in zip(axes, panels, strict=True):
        _points(ax, measured, factor, "measured: median, smallest, largest")
        top = factor * max(max(values) for values in measured.values())
        if measured is memory:
            sizes = np.geomspace(min(memory), max(memory), 200)
            table = factor * (median(memory[min(memory)]) + 8 * sizes)
            ax.plot(sizes, table, color=PART, linestyle=(0, (4, 3)), label="with a table of 8 bytes a sample")
            top = max(top, float(table[-1]))
        ax.set_xscale("log")
        ax.set_ylim(0, 1.35 * top)
        ax.set_xlabel("samples in the dataset")
        ax.set_ylabel(label)
        ax.legend(loc="upper left", **SMALL)
    figure.savefig(file)


def draw_cost(cost: Cost, file: Path) -> None:
    """Draw the seconds of a step over depth, width, tokens and batch, with the model's line and its parts."""
    from matplotlib.ticker import LogLocator

    figure, axes = _panels(2, 2, (9.2, 6.6), share_y=True)
    model, center = cost.model, Size()
    for ax, axis in zip(axes, AXES, strict=True):
        others = {other: getattr(center, other) for other in AXES if other != axis}
        measured = {
            getattr(size, axis): seconds
            for size, seconds in cost.times.items()
            if all(getattr(size, other) == value for other, value in others.items())
        }
        line = np.unique(np.geomspace(min(measured), max(measured), 100).round().astype(int)).tolist()
        sizes = [replace(center, **{axis: x}) for x in line]
        products, values = [model.a * size.products for size in sizes], [model.b * size.values for size in sizes]
        ax.plot(line, [model(size) for size in sizes], color=MODEL, label="model: a · products + b · values + c")
        ax.plot(line, products, color=PART, linewidth=1, linestyle=(0, (5, 2)), label="a · products")
        ax.plot(line, values, color=PART, linewidth=1, linestyle=(0, (1, 1.5)), label="b · values")
        _points(ax, measured, 1, "measured: median, smallest, largest")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.set_xticks(list(measured), [str(n) for n in measured])
        ax.minorticks_off()
        ax.tick_params(labelleft=True)  # in spite of the shared axis
        ax.set_xlabel(LABELS[axis])
        ax.set_ylabel("seconds a step")
        ax.set_title(
            ", ".join(f"{LABELS[o].split()[-1]} = {value}" for o, value in others.items()), fontsize=8, color=INK
        )
    axes[0].legend(loc="upper left", **SMALL)
    figure.suptitle(f"A training step of the DiT in {cost.precision}: {model}", fontsize=9, color=INK)
    figure.savefig(file)


def _panels(rows: int, columns: int, size: tuple[float, float], share_y: bool = False) -> tuple[Figure, Sequence[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=size, dpi=160, facecolor="white", layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False, sharey=share_y).flat)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(which="both", labelsize=8, colors=INK)
        ax.xaxis.label.set(fontsize=9, color=INK)
        ax.yaxis.label.set(fontsize=9, color=INK)
    return figure, axes


def _points(ax: Axes, measured: Mapping[int, list[float]], factor: float, label: str) -> None:
    x, y = list(measured), [factor * median(values) for values in measured.values()]
    below = [m - factor * min(values) for m, values in zip(y, measured.values(), strict=True)]
    above = [factor * max(values) - m for m, values in zip(y, measured.values(), strict=True)]
    ax.errorbar(x, y, [below, above], fmt="o", color=MEASURED, markersize=5, capsize=3, label=label, zorder=3)
