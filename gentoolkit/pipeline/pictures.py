"""The pictures of a run."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import IO, Any

from gentoolkit.api import Array, Labels
from gentoolkit.evaluation import ALL, group_by_class
from gentoolkit.pipeline.parts import Parts
from gentoolkit.pipeline.sampling import by_class, sample
from gentoolkit.report import COLUMNS, Look, loss_curve, sample_grid, trajectory_gif, trajectory_paths
from gentoolkit.rundir import RunDir
from gentoolkit.safefiles import SafePath
from gentoolkit.sampling import Samples

LOSS, GRID, TRAJECTORY, PATHS = "loss.png", "samples.png", "trajectory.gif", "trajectory.png"
#: Approximate number of points in the picture of paths.
NUM_PATHS = 300


def draw_samples(parts: Parts, samples: Samples, file: SafePath) -> bool:
    """Draw samples with real ones of each class. Return False if samples of that shape cannot be drawn."""
    generated, real = by_class(parts, samples), first_real(parts)
    labels = parts.spec.condition if isinstance(parts.spec.condition, Labels) else None
    titles = {name: labels.name(int(name)) if labels else name for name in real if name in generated}
    if not titles:
        return False
    chosen = (
        {text: real[name] for name, text in titles.items()},
        {text: generated[name] for name, text in titles.items()},
    )
    return _drawn(file, lambda picture: sample_grid(*chosen, picture, look(parts)))


def _drawn(file: SafePath, draw: Callable[[IO[bytes]], bool]) -> bool:
    """Write a picture atomically. Return whether there was anything to draw."""
    picture = BytesIO()
    if drawn := draw(picture):
        file.write(picture.getvalue())
    return drawn


def look(parts: Parts) -> Look:
    """Return how samples are drawn."""
    return Look(parts.recipe.data_spec.colormap, parts.recipe.data_spec.value_range)


def first_real(parts: Parts) -> dict[str, Any]:
    """Return the first training samples of each class, by class: as many as `sample_grid` draws."""
    data = parts.splits["train"]
    count = 500 if len(parts.recipe.data_spec.shape) == 1 else COLUMNS if parts.classes is None else 1
    return {name: data.batch(rows).x1 for name, rows in group_by_class(data, count, parts.classes, chunk=64).items()}


def draw_pictures(directory: RunDir, parts: Parts, samples: Samples) -> None:
    """Draw the loss curve, real and generated samples, and the trajectory of one sample of each class."""
    images, records = directory.inside(directory.images), directory.records()
    _drawn(images / LOSS, lambda picture: loss_curve(records, picture))
    draw_samples(parts, samples, images / GRID)
    draw_trajectory(images, parts)


def draw_trajectory(images: SafePath, parts: Parts) -> None:
    """Draw the trajectory of one sample of each class, or of many points, depending on the shape of the data."""
    points = len(parts.recipe.data_spec.shape) == 1
    # Noise is keyed by index, so these are the first samples of each class again.
    way = sample(parts, _paths_per_class(parts) if points else 1, trajectory=True)
    labels, classes = way.condition, parts.spec.condition
    if isinstance(classes, Labels) and labels is not None:
        names = [classes.name(label) for label in labels.tolist()]
    else:
        names = [ALL] * len(way.x1)
    states = way.trajectory, way.times, names
    if len(parts.recipe.data_spec.shape) < 3:
        _drawn(images / PATHS, lambda picture: trajectory_paths(*states, picture))
    else:
        _drawn(images / TRAJECTORY, lambda picture: trajectory_gif(*states, picture, look(parts)))


def _paths_per_class(parts: Parts) -> int:
    """Return how many points of each class to trace: as many as are sampled if they need held-out data, else more."""
    spec, settings = parts.spec, parts.recipe.sample
    if spec.paired or isinstance(spec.condition, Array):
        return settings.per_class
    return max(1, NUM_PATHS // len(settings.classes or parts.classes or [0]))
