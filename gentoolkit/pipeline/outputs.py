"""What a run leaves to look at: samples, pictures and the page."""

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
#: About how many points the picture of their paths shows.
NUM_PATHS = 300


@contextmanager
def reserved_file(source: Path, out: Path | None) -> Iterator[SafePath]:
    """Reserve where samples of a run or checkpoint go: `out`, or the first free `samples/sample-N` of the run.

    The file is made at once, so that of several commands each has its own, and deleted where the block fails.

    Raises:
        UsageError: `out` is no `.safetensors` file, it or its picture exists, or there is no run to write into.
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
        raise UsageError(f"{str(out)!r} is no .safetensors file; the picture goes beside it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        file = SafePath(out.parent) / out.name
        if taken := [str(found) for found in (file, _picture_of(file)) if found.exists()]:
            raise UsageError(f"{listing(taken)} exists; nothing is overwritten, choose another --out")
        file.create()
    except FileExistsError:
        raise UsageError(f"{str(out)!r} exists; nothing is overwritten, choose another --out") from None
    except OSError as error:
        raise writing_failed(error, f"can't write {str(out)!r}, choose another --out") from error
    return file


def _reserve_in_run(source: Path) -> SafePath:
    run = RunDir(source.absolute().parent.parent if is_checkpoint(source) else source)
    if not run.inside(run.resolved).is_file():
        raise UsageError(f"{str(source)!r} lies in no run; say with --out where the samples go")
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
        raise writing_failed(error, f"can't write into {samples}, say with --out where the samples go") from error
    raise AssertionError("the numbers never end")


def _picture_of(file: SafePath) -> SafePath:
    return file.sibling(f"{file.name.removesuffix('.safetensors')}.png")


def save_samples(model: Model, samples: Samples, file: SafePath) -> dict[str, Path]:
    """Write x1, condition and where they come from (as metadata) to `file`, and a picture beside it if there is one.

    Returns:
        The files: "samples", and "picture" where there is one for samples of that shape.

    Raises:
        UsageError: `file` can't be written.
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
        "sampler": json.dumps(recipe.sampler.to_dict()),
        "guidance": str(recipe.sample.guidance),
    }
    try:
        file.write(safetensors.torch.save(tensors, origin))
        picture = _picture_of(file)
        with blame(recipe, "drawing"):
            drawn = draw_samples(model, samples, picture)
    except OSError as error:
        raise writing_failed(error, f"can't write {str(file)!r}, choose another --out") from error
    return {"samples": file.path} | ({"picture": picture.path} if drawn else {})


def draw_samples(model: Model, samples: Samples, file: SafePath) -> bool:
    """Draw the samples below a real one of each class; return whether there is a picture for their shape."""
    by_class, real = model.by_class(samples), first_real(model)
    names = [name for name in real if name in by_class]
    if not names:
        return False
    chosen = {name: real[name] for name in names}, {name: by_class[name] for name in names}
    return _drawn(file, lambda picture: sample_grid(*chosen, picture, look(model)))


def _drawn(file: SafePath, draw: Callable[[IO[bytes]], bool]) -> bool:
    """Write a picture as a whole; return whether there was anything to draw."""
    picture = BytesIO()
    if drawn := draw(picture):
        file.write(picture.getvalue())
    return drawn


def look(model: Model) -> Look:
    """Return how pictures show the samples."""
    return Look(model.spec.colormap, model.spec.value_range)


def first_real(model: Model) -> dict[str, Any]:
    """Return the first training sample of each class (of data that is no image: up to 500), by class."""
    data = model.dataset("train")
    condition = model.spec.condition
    labels = range(condition.num_classes) if isinstance(condition, Labels) else None
    count = 1 if len(model.spec.shape) == 3 else 500
    return {name: data.batch(rows).x1 for name, rows in group_by_class(data, count, labels, chunk=64).items()}


def draw_pictures(directory: RunDir, model: Model, samples: Samples, evaluations: Sequence[Mapping[str, Any]]) -> None:
    """Draw the loss curve, real beside generated samples, and the way of one sample of each class."""
    records = directory.records()
    validations = [evaluation["validation"] for evaluation in evaluations]
    reference = validations[-1]["reference"] if validations else None
    steps = [record["step"] for record in records if record["event"] == "step"]
    if validations and steps:
        records.append({"event": "validation", "step": steps[-1], "loss": validations[-1]["loss"]})
    # The validation losses are velocity errors: so is the curve, whatever the objective minimizes.
    curve = [{**record, "loss": record.get("velocity_error", record.get("loss"))} for record in records]
    images, dashed = directory.inside(directory.images), reference and (reference["name"], reference["loss"])
    _drawn(images / LOSS, lambda picture: loss_curve(curve, dashed, picture))
    draw_samples(model, samples, images / GRID)
    draw_trajectory(images, model)


def draw_trajectory(images: SafePath, model: Model) -> None:
    """Draw the way of one sample of each class, or of many points, whatever the shape of the data asks for."""
    points = len(model.spec.shape) == 1
    # Noise is keyed by index, so the first are the first samples of each class again.
    way = model.sample(_paths_per_class(model) if points else 1, trajectory=True)
    labels = way.condition.tolist() if isinstance(model.spec.condition, Labels) and way.condition is not None else None
    names = [str(label) for label in labels] if labels else [ALL] * len(way.x1)
    states = way.trajectory, way.times, names
    if points:
        _drawn(images / PATHS, lambda picture: trajectory_paths(*states, picture))
    else:
        _drawn(images / TRAJECTORY, lambda picture: trajectory_gif(*states, picture, look(model)))


def _paths_per_class(model: Model) -> int:
    """Return how many points of each class are followed; where they start from held-out data, as many as are drawn."""
    spec, classes = model.spec, model.recipe.sample.classes
    if spec.paired or not (spec.condition is None or isinstance(spec.condition, Labels)):
        return model.recipe.sample.per_class
    count = len(classes) if classes else spec.condition.num_classes if isinstance(spec.condition, Labels) else 1
    return max(1, NUM_PATHS // count)


def write_page(directory: RunDir, recipe: Recipe) -> Path:
    """Write `report.html` from what the run's directory holds, and return its path."""
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
    """Return the provenance; nothing, with a warning, where it can't be read."""
    try:
        return directory.origin()
    except GentoolError as error:
        warnings.warn(str(error), stacklevel=2)
        return {}


def headline(evaluation: Mapping[str, Any]) -> list[Figure]:
    """Return the numbers at the top of the page: the validation loss, then the mean of each metric."""
    validation, reference = evaluation["validation"], evaluation["validation"]["reference"]
    loss = Figure(
        "validation loss",
        validation["loss"],
        f"Mean squared error of the velocity per dimension on held-out data, at fixed times and noise, on the "
        f"{validation['path']} path.",
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
    """Return a metric's comparisons as rows of a table, each class, and as its totals: their mean, and all pooled."""
    classes = metric["per_class"]
    if not classes:
        return {ALL: metric["pooled"]}, {}
    return classes, ({"mean": metric} if len(classes) > 1 else {}) | {"pooled": metric["pooled"]}


def note(evaluation: Mapping[str, Any]) -> str:
    """Return how many samples the metrics took, and which classes were left out."""
    per_class, left_out = evaluation["samples_per_class"], evaluation["left_out"]
    if per_class is None:
        return f"{evaluation['samples']} generated samples."
    text = (
        f"{per_class} generated samples of each class; pooled: {evaluation['samples']} of all classes, "
        "each as often as it is in the held-out data."
    )
    if left_out:
        few = ", ".join(f"{label} ({count})" for label, count in left_out.items())
        text += f" Only pooled, because they have fewer than {2 * per_class} held-out samples: class {few}."
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
            "Real samples beside generated ones.",
            "Real beside generated. Of images: the first real sample of each class on top, generated ones below; of "
            "points: the first two coordinates.",
        ),
        Picture(
            images / TRAJECTORY,
            "From noise to sample",
            "An animation of one sample of each class as t goes from 0 to 1.",
            "The sampler's state at every step, from noise at t = 0 to a sample at t = 1.",
        ),
        Picture(
            images / PATHS,
            "From noise to sample",
            "The paths of points from noise to samples.",
            "The sampler's path from noise at t = 0, in grey, to samples at t = 1, in color: of points (the first two "
            "coordinates), or of numbers over t.",
        ),
        Picture(
            images / LOSS,
            "Loss",
            "The velocity error over the steps, with the validation loss.",
            "The mean squared velocity error: in training at random times, in validation at fixed ones.",
        ),
    ]
