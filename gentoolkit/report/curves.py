"""The loss curve as a PNG file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from gentoolkit.records import Evaluation, Record, Step, Validation
from gentoolkit.report.figures import GENERATED, INK, LIGHT, MARK, new_figure, plain, save


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
    figure = new_figure(1600, 800)
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
    plain(axes)
    drawn = [line for line in axes.get_lines() if len(np.asarray(line.get_xdata()))]
    axes.legend(handles=drawn, frameon=False, fontsize=8, labelcolor=INK, loc="best")
    save(figure, path)
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
