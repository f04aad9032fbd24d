"""The report page of a run."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from gentoolkit.errors import GentoolError
from gentoolkit.pipeline.pictures import GRID, LOSS, PATHS, TRAJECTORY
from gentoolkit.recipe import Recipe, dump_recipe
from gentoolkit.records import Evaluation, Finished, Step, last
from gentoolkit.report import Picture, ReportData, report_page
from gentoolkit.rundir import RunDir


def write_page(directory: RunDir, recipe: Recipe) -> Path:
    """Write `report.html` from the files in the run's directory, and return its path."""
    records = directory.records()
    step, evaluation, finished = last(records, Step), last(records, Evaluation), last(records, Finished)
    data = ReportData(
        name=directory.path.name,
        status="finished" if finished else f"stopped at step {step.step if step else 0}",
        evaluation=evaluation,
        pictures=[picture for picture in _pictures(directory.images) if directory.inside(picture.path).is_file()],
        recipe=dump_recipe(recipe),
        provenance=_origin(directory),
        timing=finished.seconds if finished else {},
    )
    directory.inside(directory.report).write(report_page(data).encode())
    return directory.report


def _origin(directory: RunDir) -> dict[str, Any]:
    """Return the provenance, or {} with a warning if it cannot be read."""
    try:
        return directory.origin()
    except GentoolError as error:
        warnings.warn(str(error), stacklevel=2)
        return {}


def _pictures(images: Path) -> list[Picture]:
    return [
        Picture(
            images / GRID,
            "Samples",
            "Real samples and generated samples.",
            "Real and generated samples. Images and sequences: the first real sample of each class, followed by "
            "generated ones. Points: over the density of the real ones (gray); points of more than two dimensions are "
            "projected on the first two principal components of the real ones.",
        ),
        Picture(
            images / TRAJECTORY,
            "From x0 to sample",
            "An animation of one sample of each class as t goes from 0 to 1.",
            "The state of the sampler at each step, from x0 at t = 0 to a sample at t = 1.",
        ),
        Picture(
            images / PATHS,
            "From x0 to sample",
            "The paths from x0 to samples.",
            "The sampler's paths from x0 at t = 0 (gray) to samples at t = 1 (color). Points of more than two "
            "dimensions are projected on the first two principal components of the samples, single numbers are shown "
            "over t, sequences at several times.",
        ),
        Picture(
            images / LOSS,
            "Loss",
            "The velocity error over the training steps, with the validation loss.",
            "The mean squared velocity error, at random times in training and at fixed times in validation.",
        ),
    ]
