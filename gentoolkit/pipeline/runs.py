"""A run from its recipe to its report, and from its last checkpoint on."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gentoolkit import provenance
from gentoolkit.errors import GentoolError, UsageError
from gentoolkit.pipeline.blame import blame
from gentoolkit.pipeline.changes import CHANGEABLE, Changes, used_plugins
from gentoolkit.pipeline.model import Model
from gentoolkit.pipeline.outputs import GRID, draw_pictures, draw_samples, reserved_file, save_samples, write_page
from gentoolkit.pipeline.progress import Progress, Silent
from gentoolkit.pipeline.work import Work
from gentoolkit.plugins import Plugins, load_plugins
from gentoolkit.recipe import Recipe, dump_recipe, parse_recipe
from gentoolkit.report import MAX_PICTURE
from gentoolkit.rundir import RunDir
from gentoolkit.sampling import Samples
from gentoolkit.training import Checkpoint, is_checkpoint, load_checkpoint, manifest_sha256, newest_checkpoint

if TYPE_CHECKING:
    from PIL.Image import Image


class Run:
    """A run on disk.

    Attributes:
        directory: Where everything of it lies.
        recipe: The resolved recipe.
        plugins: The installed plugins.
    """

    def __init__(self, directory: RunDir, recipe: Recipe, plugins: Plugins) -> None:
        self.directory = directory
        self.recipe = recipe
        self.plugins = plugins

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def path(self) -> Path:
        """Return the run's directory."""
        return self.directory.path

    def model(self, checkpoint: Path | None = None) -> Model:
        """Return the trained model: of the newest valid checkpoint, or of the named one.

        Raises:
            NoCheckpointError: There is none.
        """
        return Model.build(self.recipe).load(
            load_checkpoint(checkpoint) if checkpoint else newest_checkpoint(self.directory.checkpoints)
        )

    def sample(
        self, per_class: int | None = None, classes: Sequence[int] | None = None, seed: int | None = None
    ) -> Samples:
        """Draw samples from the newest weights; see `Model.sample`."""
        return self.model().sample(per_class, classes, seed)

    def show(self, samples: Samples | None = None) -> Image:
        """Return a picture of samples beside real ones, which a notebook shows; by default the run's own picture.

        Raises:
            UsageError: There is no picture for data of that shape.
        """
        from PIL import Image

        file = self.directory.inside(self.directory.images / GRID)
        if samples is not None:
            file = file.sibling("shown.png")
            with blame(self.recipe, "drawing"):
                draw_samples(self.model(), samples, file)
        if not file.is_file():
            raise UsageError(
                f"there is no picture: the run is unfinished, or has samples of shape {self.recipe.spec.shape}; "
                "show(run.sample()) draws one of images and points"
            )
        return Image.open(BytesIO(file.read(MAX_PICTURE)))

    def save(self, samples: Samples, out: Path | None = None) -> dict[str, Path]:
        """Write samples, and a picture of them, to `out` or into the run, and return the files; see `save_samples`."""
        with reserved_file(self.path, out) as file:
            return save_samples(self.model(), samples, file)

    def evaluate(self) -> dict[str, Any]:
        """Measure the newest weights again and return the figures; see `Model.evaluate`."""
        return self.model().evaluate()

    def report(self) -> Path:
        """Draw the pictures and the page again, from the newest weights, and return the page's path."""
        model = self.model()
        with blame(self.recipe, "drawing"):
            draw_pictures(self.directory, model, model.sample(), self.records("evaluation"))
        return write_page(self.directory, self.recipe)

    def records(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return the lines of `metrics.jsonl`, of one event ("step", "epoch", "evaluation", ...) where named."""
        return self.directory.records(event)

    def summary(self) -> dict[str, Any]:
        """Return where the run is and its last figures, as plain JSON data."""
        return self.directory.summary()


def run(
    recipe: Recipe,
    root: os.PathLike[str] | str = "runs",
    *,
    init_from: os.PathLike[str] | str | None = None,
    plugins: Plugins | None = None,
    command: Sequence[str] = (),
    progress: Progress | None = None,
) -> Run:
    """Train, sample, evaluate and report.

    Args:
        recipe: From `load_recipe`.
        root: Where the run's directory is made.
        init_from: A run, or one of its checkpoints, whose weights (averaged, where there are any) to start from; the
            optimizer starts anew, and the provenance records the checkpoint.
        plugins: The installed plugins, where the caller has loaded them.
        command: What was typed, for the provenance.
        progress: Shows how far the run is.

    Raises:
        UsageError: The batch is larger than the data, the device is missing, `root` can't be written, or the weights of
            `init_from` are not those of this backbone and objective.
        NonFiniteError: A loss, gradient or weight is not finite.
        InterruptedRun: A signal came; the state is saved.
    """
    refuse_many_processes()
    plugins = plugins or load_plugins()
    # Prepared before the directory is made, so that a recipe that can't be trained leaves none behind.
    folder, initial = (None, None) if init_from is None else find_checkpoint(init_from)
    work = Work.prepare(recipe, initial=initial)
    directory = RunDir.create(Path(root), recipe.name)
    origin = _origin(recipe, work, command)
    if folder is not None:
        origin["init_from"] = {"checkpoint": str(folder), "manifest_sha256": manifest_sha256(folder)}
    directory.write(recipe.text, dump_recipe(recipe), origin)
    with directory.locked():
        current = Run(directory, recipe, plugins)
        work.carry_out(directory, plugins, progress or Silent())
    return current


def resume(
    path: os.PathLike[str] | str,
    overrides: Sequence[str] = (),
    *,
    force: bool = False,
    plugins: Plugins | None = None,
    command: Sequence[str] = (),
    progress: Progress | None = None,
) -> Run:
    """Continue a run from its newest valid checkpoint; a run that had finished is only sampled and evaluated again.

    Args:
        path: The run.
        overrides: Changes to the recipe: a new length such as "train.steps=400", for which the learning rates are
            recomputed from the present step on, or what is not trained (`CHANGEABLE`). `resolved.yaml` is rewritten.
        force: Accept other changes too, by `overrides` or in `resolved.yaml`, and other versions of plugins. They are
            recorded in the "resumed" line of `metrics.jsonl`.
        plugins: The installed plugins, where the caller has loaded them.
        command: What was typed, for the records.
        progress: Shows how far the run is.

    Raises:
        UsageError: There is no run at `path`, or it differs from what its checkpoint was trained with.
        NoCheckpointError: No checkpoint verifies.
    """
    refuse_many_processes()
    found = open_run(path, overrides, plugins=plugins)
    directory, recipe = found.directory, found.recipe
    with directory.locked():
        saved = newest_checkpoint(directory.checkpoints)
        changes = Changes.between(saved, recipe)
        if not force:
            changes.require_allowed()
        work = Work.prepare(recipe, begun_precision(found))
        news = changes.lines(work.plan)
        work.restore(saved, directory, changes.anew)
        changed = {"changes": {field: list(values) for field, values in changes.fields.items()}}
        record = {"step": work.state.step, **_origin(recipe, work, command), **(changed if changes.fields else {})}
        directory.append("resumed", record)
        directory.replace_resolved(dump_recipe(recipe))
        work.carry_out(directory, found.plugins, progress or Silent(), news)
    return found


def _origin(recipe: Recipe, work: Work, command: Sequence[str]) -> dict[str, Any]:
    return provenance.collect(
        recipe.text, recipe.seed, command or sys.argv, used_plugins(recipe), work.model.device, work.precision
    )


def begun_precision(run: Run) -> str:
    """Return what `train.precision` was when the run began: `auto` stays what it became, even on another machine.

    Raises:
        GentoolError: It was `auto`, and the run's provenance does not say what it became.
    """
    if run.recipe.train.precision != "auto":
        return run.recipe.train.precision
    precision = run.directory.origin().get("precision")
    if precision not in ("fp32", "bf16"):
        raise GentoolError(f"{run.directory.provenance}: precision is {precision!r}, expected 'fp32' or 'bf16'")
    return str(precision)


def open_run(path: os.PathLike[str] | str, overrides: Sequence[str] = (), *, plugins: Plugins | None = None) -> Run:
    """Return the run at `path`, e.g. `runs/dit_flow-1`, with changes to its recipe, which are not written.

    Raises:
        UsageError: There is no run.
    """
    plugins = plugins or load_plugins()
    directory = RunDir.open(path)
    recipe = parse_recipe(directory.resolved_text(), str(directory.resolved), overrides, registry=plugins.registry)
    return Run(directory, recipe, plugins)


def find_checkpoint(path: os.PathLike[str] | str) -> tuple[Path, Checkpoint]:
    """Return the checkpoint at `path`, or the newest valid one of the run there, with its folder.

    Raises:
        UsageError: There is neither.
        NoCheckpointError: No checkpoint of the run verifies.
    """
    path = Path(path)
    if is_checkpoint(path):
        return path, load_checkpoint(path)
    root = RunDir.open(path).checkpoints
    checkpoint = newest_checkpoint(root)
    return root / f"step-{checkpoint.step}", checkpoint


def load_model(path: os.PathLike[str] | str, overrides: Sequence[str] = (), *, plugins: Plugins | None = None) -> Model:
    """Return the trained model of a run, or of one checkpoint folder, wherever it was copied to.

    Args:
        path: A run, or a `step-N` folder.
        overrides: Changes to what is not trained (`CHANGEABLE`), e.g. "sampler.num_steps=50" or "sample.guidance=2".
        plugins: The installed plugins, where the caller has loaded them.

    Raises:
        UsageError: There is neither at `path`, or an override would change what was trained.
        NoCheckpointError: No checkpoint verifies.
    """
    plugins = plugins or load_plugins()
    for override in overrides:
        if override.split("=")[0].split(".")[0] not in CHANGEABLE:
            raise UsageError(f"{override!r} can't be changed after the training; what can: {', '.join(CHANGEABLE)}")
    folder, checkpoint = find_checkpoint(path)
    text = checkpoint.number("recipe", TypeAdapter(str).validate_python)
    recipe = parse_recipe(text, str(folder), overrides, registry=plugins.registry)
    return Model.build(recipe).load(checkpoint)


def refuse_many_processes() -> None:
    """Raise UsageError under `torchrun` with more than one process: a run is one process so far."""
    if (count := os.environ.get("WORLD_SIZE", "1")) not in ("", "1"):
        raise UsageError(f"started as one of {count} processes; training in many is not supported yet, start one")
