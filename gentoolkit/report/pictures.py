"""Pictures of samples as PNG files. Their kind follows from the shape of the data: images, sequences or points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import ArrayLike

from gentoolkit.report.figures import Values, heading, save
from gentoolkit.report.grids import image_grid, line_grid
from gentoolkit.report.looks import IMAGES, Look
from gentoolkit.report.points import histograms, point_panels, point_paths

#: Maximum number of classes, of generated samples per class, and of samples per class in a sheet of one and of several.
MAX_CLASSES, MAX_GENERATED, SHEET_ALL, SHEET_EACH = 10, 3, 32, 6
#: Number of columns of a sheet of samples without classes, and of times at which sequences are drawn.
COLUMNS, MAX_TIMES = 8, 6

Samples = Mapping[str, ArrayLike]


def sample_grid(real: Samples, generated: Samples, path: Path | IO[bytes], look: Look = IMAGES) -> bool:
    """Draw real and generated samples of each class (the first `MAX_CLASSES`).

    Images (C, H, W) and sequences (C, L): one column per class, the first real sample on top, the first `MAX_GENERATED`
    generated samples below. Of a single class, there are up to `COLUMNS` columns. If the look has no value range, the
    colors of a class span the values of its first real sample, so they are comparable. Points (D,): a panel of the real
    ones and one of the generated ones, both over the density of the real ones; for D > 2, their first two principal
    components; for D = 1, histograms.

    Args:
        real: Class name -> samples, (N, *S).
        generated: The same class names -> samples, (M, *S).
        path: The PNG file to write, or an open file.
        look: How images are converted to colors.

    Returns:
        False if samples of this shape cannot be drawn.
    """
    real, generated = _arrays(real), _arrays({name: generated[name] for name in real})
    kinds, columns, likes = ["real", "generated"], [], []
    for name in real if _rank(real) > 2 else ():
        width = 1 if len(real) > 1 else min(COLUMNS, len(real[name]), len(generated[name]))
        for k in range(width):
            columns.append(np.concatenate([real[name][k : k + 1], generated[name][k::width][:MAX_GENERATED]]))
            likes.append(real[name][0])
    names = [heading(name) for name in real if len(real) > 1]
    match _rank(real):
        case 4:
            figure = image_grid([*zip(columns, likes, strict=True)], names, kinds, look)
        case 3:
            figure = line_grid(columns, names, kinds, np.stack(likes))
        case 2 if next(iter(real.values())).shape[1] > 1:
            figure = point_panels({"real": real, "generated": generated})
        case 2:
            figure = histograms(real, generated)
        case _:
            return False
    save(figure, path)
    return True


def sample_sheet(samples: Samples, path: Path | IO[bytes], look: Look = IMAGES) -> bool:
    """Draw samples of a dataset.

    Images and sequences: the first `SHEET_EACH` samples of each class in a column, or the first `SHEET_ALL` of data
    without classes. Points: as in `sample_grid`.

    Args:
        samples: Class name -> samples, (N, *S).
        path: The PNG file to write, or an open file.
        look: How images are converted to colors.

    Returns:
        False if samples of this shape cannot be drawn.
    """
    arrays = _arrays(samples)
    columns, titles = [array[:SHEET_EACH] for array in arrays.values()], [*map(heading, arrays)]
    if len(arrays) == 1:
        alone = next(iter(arrays.values()))[:SHEET_ALL]
        columns, titles = [part for k in range(COLUMNS) if len(part := alone[k::COLUMNS])], []
    match _rank(arrays):
        case 4:
            figure = image_grid([(column, column[0]) for column in columns], titles, [], look)
        case 3:
            figure = line_grid(columns, titles, [], np.concatenate(columns))
        case 2 if next(iter(arrays.values())).shape[1] > 1:
            figure = point_panels({"samples": arrays})
        case 2:
            figure = histograms(arrays, {})
        case _:
            return False
    save(figure, path)
    return True


def trajectory_paths(frames: ArrayLike, times: Sequence[float], labels: Sequence[str], path: Path | IO[bytes]) -> bool:
    """Draw the way from x0 to samples, of points or sequences.

    Points (D,): paths from x0 (gray) to samples (in the color of their class; colors repeat after ten classes), for
    D > 2 in the first two principal components of the samples, for D = 1 over t. Sequences (C, L): the first
    `MAX_CLASSES` at up to `MAX_TIMES` times.

    Args:
        frames: The states, (T, N, D) or (T, N, C, L). NaN values are left out.
        times: Their times, (T,).
        labels: The class of each of the N samples, or the same name for all.
        path: The PNG file to write, or an open file.

    Returns:
        False if the states do not have such a shape.
    """
    states = np.asarray(frames, dtype=np.float64)
    if states.ndim not in (3, 4) or 0 in states.shape:
        return False
    if states.ndim == 3:
        figure = point_paths(states, times, labels)
    else:
        shown = np.unique(np.linspace(0, len(states) - 1, MAX_TIMES).round().astype(int))
        states = states[:, :MAX_CLASSES]
        titles = [f"t = {times[k]:.2f}" for k in shown]
        figure = line_grid(states[shown], titles, [*map(heading, labels[:MAX_CLASSES])], np.nan_to_num(states[shown]))
    save(figure, path)
    return True


def _arrays(samples: Samples) -> dict[str, Values]:
    return {name: np.asarray(samples[name], np.float64) for name in [*samples][:MAX_CLASSES]}


def _rank(samples: Mapping[str, Values]) -> int:
    """Return the number of axes of all arrays, with that of the batch; 0 if they differ."""
    ranks = {array.ndim for array in samples.values()}
    return ranks.pop() if len(ranks) == 1 else 0
