"""The output of a run: samples, pictures and the report page."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import IO, Any

import safetensors.torch

from gentoolkit.api import Labels
from gentoolkit.configs import to_data
from gentoolkit.errors import GentoolError, UsageError, listing, writing_failed
from gentoolkit.evaluation import ALL, group_by_class
from gentoolkit.pipeline.blame import blame
from gentoolkit.pipeline.model import Model
from gentoolkit.recipe import Recipe, dump_recipe
from gentoolkit.report import (
    Figure,
    Look,
    MetricTable,
    Picture,
    ReferenceLoss,
    ReportData,
    Validation,
    loss_curve,
    report_page,
    sample_grid,
    trajectory_gif,
    trajectory_paths,
)
from gentoolkit.rundir import RunDir
from gentoolkit.safefiles import SafePath
from gentoolkit.sampling import Samples
from gentoolkit.training import is_checkpoint

LOSS, GRID, TRAJECTORY, PATHS = "loss.png", "samples.png", "trajectory.gif", "trajectory.png"
#: Approximate number of points in the picture of paths.
NUM_PATHS = 300


@contextmanager
def reserved_file(source: Path, out: Path | None) -> Iterator[SafePath]:
    """Reserve the output file for samples: `out`, or the first free `samples/sample-N` of the run.

    The file is created immediately, so that concurrent commands get different files. It is deleted if the block raises
    an exception.

    Raises:
        UsageError: `out` is not a `.safetensors` file, it or its picture exists, or `source` is not inside a run.
    """
    file = _reserve(out) if out is not None else _reserve_in_run(source)
    try:
        yield file
    except BaseException:
        with suppress(OSError):
            file.remove()
        raise


def _reserve(out: Path) -> SafePath:
    if out.suffix != ".safetensors":
        raise UsageError(f"--out must end in .safetensors; got {str(out)!r}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        file = SafePath(out.parent) / out.name
        if taken := [str(found) for found in (file, _picture_of(file)) if found.exists()]:
            raise UsageError(f"{listing(taken)} exists and is not overwritten; choose another --out")
        file.create()
    except FileExistsError:
        raise UsageError(f"{str(out)!r} exists and is not overwritten; choose another --out") from None
    except OSError as error:
        raise writing_failed(error, f"cannot write {str(out)!r}", "choose another --out") from error
    return file


def _reserve_in_run(source: Path) -> SafePath:
    run = RunDir(source.absolute().parent.parent if is_checkpoint(source) else source)
    if not run.inside(run.resolved).is_file():
        raise UsageError(f"{str(source)!r} is not inside a run; use --out to choose an output file")
    samples = run.inside(run.samples)
    try:
        with suppress(FileExistsError):
            samples.make_folder()
        for number in count(1):
            file = samples / f"sample-{number}.safetensors"
            if not _picture_of(file).exists():
                with suppress(FileExistsError):
                    file.create()
                    return file
    except OSError as error:
        raise writing_failed(error, f"cannot write to {samples}", "use --out to choose another file") from error
    raise AssertionError("the numbers never end")


def _picture_of(file: SafePath) -> SafePath:
    return file.sibling(f"{file.name.removesuffix('.safetensors')}.png")


def save_samples(model: Model, samples: Samples, file: SafePath) -> dict[str, Path]:
    """Write x1, condition and their origin (as metadata) to `file`, and a picture next to it if one can be drawn.

    Returns:
        The files: "samples", and "picture" if samples of that shape can be drawn.

    Raises:
        UsageError: `file` cannot be written.
        OutOfSpaceError: The disk is full.
    """
    tensors = {"x1": samples.x1.contiguous()}
    if samples.condition is not None:
        tensors["condition"] = samples.condition.contiguous()
    recipe = model.recipe
    origin = {
        "recipe": recipe.name,
        "step": str(model.step),
        "seed": str(samples.seed),
        "sampler": json.dumps(to_data(recipe.sampler)),
        "guidance": json.dumps([to_data(guidance) for guidance in recipe.guidance]),
    }
    try:
        file.write(safetensors.torch.save(tensors, origin))
        picture = _picture_of(file)
        with blame(recipe, "drawing"):
            drawn = draw_samples(model, samples, picture)
    except OSError as error:
        raise writing_failed(error, f"cannot write {str(file)!r}", "choose another --out") from error
    return {"samples": file.path} | ({"picture": picture.path} if drawn else {})


def draw_samples(model: Model, samples: Samples, file: SafePath) -> bool:
    """Draw samples with real ones of each class. Return False if samples of that shape cannot be drawn."""
    by_class, real = model.by_class(samples), first_real(model)
    names = [name for name in real if name in by_class]
    if not names:
        return False
    chosen = {name: real[name] for name in names}, {name: by_class[name] for name in names}
    return _drawn(file, lambda picture: sample_grid(*chosen, picture, look(model)))


def _drawn(file: SafePath, draw: Callable[[IO[bytes]], bool]) -> bool:
    """Write a picture atomically. Return whether there was anything to draw."""
    picture = BytesIO()
    if drawn := draw(picture):
        file.write(picture.getvalue())
    return drawn


def look(model: Model) -> Look:
    """Return how samples are drawn."""
    return Look(model.recipe.data_spec.colormap, model.recipe.data_spec.value_range)


def first_real(model: Model) -> dict[str, Any]:
    """Return the first training sample of each class (for data other than images: up to 500), by class."""
    data = model.dataset("train")
    condition = model.spec.condition
    labels = range(condition.num_classes) if isinstance(condition, Labels) else None
    count = 1 if len(model.recipe.data_spec.shape) == 3 else 500
    return {name: data.batch(rows).x1 for name, rows in group_by_class(data, count, labels, chunk=64).items()}


def draw_pictures(directory: RunDir, model: Model, samples: Samples, evaluations: Sequence[Mapping[str, Any]]) -> None:
    """Draw the loss curve, real and generated samples, and the trajectory of one sample of each class."""
    records = directory.records()
    validations = [evaluation["validation"] for evaluation in evaluations]
    reference = validations[-1]["reference"] if validations else None
    steps = [record["step"] for record in records if record["event"] == "step"]
    if validations and steps:
        records.append({"event": "validation", "step": steps[-1], "loss": validations[-1]["loss"]})
    # Validation losses are velocity errors, so the curve shows velocity errors too, whatever the objective minimizes.
    curve = [{**record, "loss": record.get("velocity_error", record.get("loss"))} for record in records]
    images, dashed = directory.inside(directory.images), reference and (reference["name"], reference["loss"])
    _drawn(images / LOSS, lambda picture: loss_curve(curve, dashed, picture))
    draw_samples(model, samples, images / GRID)
    draw_trajectory(images, model)


def draw_trajectory(images: SafePath, model: Model) -> None:
    """Draw the trajectory of one image of each class, or of many points, depending on the shape of the data."""
    points = len(model.recipe.data_spec.shape) == 1
    # Noise is keyed by index, so these are the first samples of each class again.
    way = model.sample(_paths_per_class(model) if points else 1, trajectory=True)
    labels = way.condition.tolist() if isinstance(model.spec.condition, Labels) and way.condition is not None else None
    names = [str(label) for label in labels] if labels else [ALL] * len(way.x1)
    states = way.trajectory, way.times, names
    if points:
        _drawn(images / PATHS, lambda picture: trajectory_paths(*states, picture))
    else:
        _drawn(images / TRAJECTORY, lambda picture: trajectory_gif(*states, picture, look(model)))


def _paths_per_class(model: Model) -> int:
    """Return how many points of each class to trace: as many as are sampled if they need held-out data, else more."""
    spec, classes = model.spec, model.recipe.sample.classes
    if spec.paired or not (spec.condition is None or isinstance(spec.condition, Labels)):
        return model.recipe.sample.per_class
    count = len(classes) if classes else spec.condition.num_classes if isinstance(spec.condition, Labels) else 1
    return max(1, NUM_PATHS // count)


def write_page(directory: RunDir, recipe: Recipe) -> Path:
    """Write `report.html` from the files in the run's directory, and return its path."""
    records = directory.records()
    evaluations = [record for record in records if record["event"] == "evaluation"]
    finished = [record for record in records if record["event"] == "finished"]
    steps = [record["step"] for record in records if record["event"] == "step"]
    evaluation = evaluations[-1] if evaluations else None
    data = ReportData(
        name=directory.path.name,
        status="finished" if finished else f"stopped at step {steps[-1] if steps else 0}",
        figures=headline(evaluation) if evaluation else (),
        metrics=_tables(evaluation) if evaluation else (),
        note=note(evaluation) if evaluation else "",
        reference=evaluation["reference"]["explanation"] if evaluation and evaluation["reference"] else "",
        validation=_validation(evaluation["validation"]) if evaluation else None,
        pictures=[picture for picture in _pictures(directory.images) if directory.inside(picture.path).is_file()],
        recipe=dump_recipe(recipe),
        provenance=_origin(directory),
        timing=finished[-1]["seconds"] if finished else {},
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


def headline(evaluation: Mapping[str, Any]) -> list[Figure]:
    """Return the results at the top of the page: the validation loss, then the mean of each metric."""
    validation, reference = evaluation["validation"], evaluation["validation"]["reference"]
    loss = Figure(
        "validation loss",
        validation["loss"],
        f"Mean squared error of the predicted velocity per dimension, on held-out data with fixed times and x0, on "
        f"the {validation['path']} path.",
        references={reference["name"]: (reference["loss"], None)} if reference else {},
    )
    other = evaluation["reference"]
    metrics = [
        Figure(
            metric["name"],
            metric["value"],
            metric["explanation"],
            metric["value_std"],
            ({other["name"]: (metric["reference"], metric["reference_std"])} if other else {})
            | {"floor": (metric["floor"], metric["floor_std"])},
        )
        for metric in evaluation["metrics"]
    ]
    return [loss, *metrics]


def _tables(evaluation: Mapping[str, Any]) -> list[MetricTable]:
    reference = evaluation["reference"] and evaluation["reference"]["name"]
    return [
        MetricTable(
            metric["name"],
            metric["optimum"],
            *split_rows(metric),
            explanation=metric["explanation"],
            reference=reference,
        )
        for metric in evaluation["metrics"]
    ]


def split_rows(metric: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a metric's table rows, one per class, and its totals: the mean over classes and the pooled value."""
    classes = metric["per_class"]
    if not classes:
        return {ALL: metric["pooled"]}, {}
    return classes, ({"mean": metric} if len(classes) > 1 else {}) | {"pooled": metric["pooled"]}


def note(evaluation: Mapping[str, Any]) -> str:
    """Return a note on how many samples the metrics used and which classes were left out."""
    per_class, left_out = evaluation["samples_per_class"], evaluation["left_out"]
    cost = f" Each took {evaluation['network_evaluations']:g} evaluations of the network."
    if per_class is None:
        return f"{evaluation['samples']} generated samples.{cost}"
    text = (
        f"{per_class} generated samples per class. Pooled: {evaluation['samples']} samples of all classes, in the "
        f"proportions of the held-out data.{cost}"
    )
    if left_out:
        few = ", ".join(f"class {label} ({count})" for label, count in left_out.items())
        text += f" Classes with fewer than {2 * per_class} held-out samples are only in the pooled value: {few}."
    return text


def _validation(validation: Mapping[str, Any]) -> Validation:
    reference = validation["reference"]
    return Validation(
        validation["loss"],
        validation["loss_by_t"],
        validation["path"],
        ReferenceLoss(**reference) if reference else None,
    )


def _pictures(images: Path) -> list[Picture]:
    return [
        Picture(
            images / GRID,
            "Samples",
            "Real samples and generated samples.",
            "Real and generated samples. Images: the first real sample of each class, followed by generated ones. "
            "Points: the first two coordinates.",
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
            "The paths of points from x0 to samples.",
            "The sampler's paths from x0 at t = 0 (gray) to samples at t = 1 (color). Points are shown by their "
            "first two coordinates, single numbers over t.",
        ),
        Picture(
            images / LOSS,
            "Loss",
            "The velocity error over the training steps, with the validation loss.",
            "The mean squared velocity error, at random times in training and at fixed times in validation.",
        ),
    ]
