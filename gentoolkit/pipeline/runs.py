"""Start, resume and open runs."""

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
from gentoolkit.pipeline.page import write_page
from gentoolkit.pipeline.pictures import GRID, draw_pictures, draw_samples
from gentoolkit.pipeline.progress import Progress, Silent
from gentoolkit.pipeline.references import find_checkpoint, follow_reference
from gentoolkit.pipeline.saving import reserved_file, save_samples
from gentoolkit.pipeline.work import Work
from gentoolkit.plugins import Plugins, load_plugins
from gentoolkit.recipe import Recipe, dump_recipe, parse_recipe
from gentoolkit.records import Evaluation, Resumed, last
from gentoolkit.report import MAX_PICTURE
from gentoolkit.rundir import RunDir
from gentoolkit.sampling import Samples
from gentoolkit.training import is_checkpoint, load_checkpoint, newest_checkpoint

if TYPE_CHECKING:
    from PIL.Image import Image


class Run:
    """A run on disk.

    Attributes:
        directory: The run's directory.
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
        """Return the trained model from `checkpoint`, or from the newest valid checkpoint.

        Raises:
            NoCheckpointError: There is no valid checkpoint.
        """
        return Model.build(self.recipe).load(
            load_checkpoint(checkpoint) if checkpoint else newest_checkpoint(self.directory.checkpoints)
        )

    def sample(
        self, per_class: int | None = None, classes: Sequence[int] | None = None, seed: int | None = None
    ) -> Samples:
        """Draw samples with the newest weights; see `Model.sample`."""
        return self.model().sample(per_class, classes, seed)

    def show(self, samples: Samples | None = None) -> Image:
        """Return a picture of samples next to real ones, for display in a notebook. Default: the run's own picture.

        Raises:
            UsageError: There is no picture, because the run is unfinished or data of that shape cannot be drawn.
        """
        from PIL import Image

        file = self.directory.inside(self.directory.images / GRID)
        if samples is not None:
            file = file.sibling("shown.png")
            with blame(self.recipe, "drawing"):
                draw_samples(self.model(), samples, file)
        if not file.is_file():
            raise UsageError(
                f"there is no picture: the run is unfinished, or samples of shape {self.recipe.data_spec.shape} cannot "
                "be drawn; run.show(run.sample()) draws images, sequences and points"
            )
        return Image.open(BytesIO(file.read(MAX_PICTURE)))

    def save(self, samples: Samples, out: Path | None = None) -> dict[str, Path]:
        """Write samples and a picture of them to `out` or into the run, and return the files; see `save_samples`."""
        with reserved_file(self.path, out) as file:
            return save_samples(self.model(), samples, file)

    def evaluate(self) -> Evaluation:
        """Evaluate the newest weights and return the results; see `Model.evaluate`."""
        return self.model().evaluate()

    def report(self) -> Path:
        """Redraw the pictures with the newest weights, rebuild the report page, and return its path."""
        model = self.model()
        with blame(self.recipe, "drawing"):
            draw_pictures(self.directory, model, model.sample())
        return write_page(self.directory, self.recipe)

    def records(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return the records of `metrics.jsonl` as plain data, optionally of one event ("step", "evaluation", ...)."""
        return [record.to_dict() for record in self.directory.records() if event in (None, record.event)]

    def summary(self) -> dict[str, Any]:
        """Return the paths, times and last evaluation of the run, as plain JSON data."""
        return self.directory.summary()


def run(
    recipe: Recipe,
    root: os.PathLike[str] | str = "runs",
    *,
    plugins: Plugins | None = None,
    command: Sequence[str] = (),
    progress: Progress | None = None,
) -> Run:
    """Train, sample, evaluate and report a recipe, in a new directory.

    Args:
        recipe: A recipe from `load_recipe`.
        root: The folder in which the run's directory is created.
        plugins: The installed plugins. Default: loaded here.
        command: The command line, for the provenance. Default: `sys.argv`.
        progress: Display for the progress of the run. Default: none.

    Raises:
        UsageError: The batch is larger than the dataset, the device is not available, `root` is not writable, or the
            weights of `init_from` in the recipe do not match this backbone and objective.
        NonFiniteError: A loss, gradient or weight is infinite or NaN.
        InterruptedRun: A signal stopped the run. The message says what was saved.
    """
    refuse_many_processes()
    plugins = plugins or load_plugins()
    # Prepared before the directory is created, so that a recipe that cannot be trained leaves none behind.
    initial = None
    if recipe.init_from is not None:
        reference, initial = follow_reference(recipe.init_from, "init_from")
        recipe = recipe.with_init_from(reference)
    work = Work.prepare(recipe, initial=initial)
    directory = RunDir.create(Path(root), recipe.name)
    origin = _origin(recipe, work, command)
    directory.write(recipe.text, dump_recipe(recipe), origin)
    with directory.locked():
        current = Run(directory, recipe, plugins)
        work.carry_out(directory, progress or Silent())
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
    """Continue a run from its newest valid checkpoint. A finished run is only sampled and evaluated again.

    Args:
        path: The run's directory.
        overrides: Changes to the recipe: a new length such as "train.steps=400", for which the learning-rate schedule
            is recomputed from the current step on, or settings that do not affect training (`CHANGEABLE`). They are
            written to `resolved.yaml`.
        force: Whether to accept other changes, in `overrides`, `resolved.yaml` or plugin versions. They are recorded in
            the "resumed" record of `metrics.jsonl`.
        plugins: The installed plugins. Default: loaded here.
        command: The command line, for the records. Default: `sys.argv`.
        progress: Display for the progress of the run. Default: none.

    Raises:
        UsageError: There is no run at `path`, or a change affects the trained weights.
        NoCheckpointError: There is no valid checkpoint.
    """
    refuse_many_processes()
    found = open_run(path, overrides, plugins=plugins)
    directory, recipe = found.directory, found.recipe
    with directory.locked():
        saved = newest_checkpoint(directory.checkpoints)
        changes = Changes.between(saved, recipe, found.plugins.registry)
        if not force:
            changes.require_allowed()
        work = Work.prepare(recipe, begun_precision(found), fitted=saved)
        news = changes.lines(work.plan)
        work.restore(saved, directory, changes.anew)
        changed = {"changes": {field: list(values) for field, values in changes.fields.items()}}
        origin = _origin(recipe, work, command) | (changed if changes.fields else {})
        directory.append(Resumed(step=work.state.step, **origin))
        directory.replace_resolved(dump_recipe(recipe))
        work.carry_out(directory, progress or Silent(), news)
    return found


def _origin(recipe: Recipe, work: Work, command: Sequence[str]) -> dict[str, Any]:
    return provenance.collect(recipe.text, recipe.seed, command or sys.argv, used_plugins(recipe), work.placement)


def begun_precision(run: Run) -> str:
    """Return the precision of the run. For `auto`, it is what `auto` meant when the run started, maybe elsewhere.

    Raises:
        GentoolError: The setting is `auto`, and the run's provenance does not contain the precision.
    """
    if run.recipe.train.precision != "auto":
        return run.recipe.train.precision
    precision = run.directory.origin().get("precision")
    if precision not in ("fp32", "bf16"):
        raise GentoolError(f"{run.directory.provenance}: precision is {precision!r}, expected 'fp32' or 'bf16'")
    return str(precision)


def open_run(path: os.PathLike[str] | str, overrides: Sequence[str] = (), *, plugins: Plugins | None = None) -> Run:
    """Return the run at `path`, e.g. `runs/dit_flow-1`. Overrides change the recipe in memory only.

    Raises:
        UsageError: There is no run at `path`.
    """
    plugins = plugins or load_plugins()
    directory = RunDir.open(path)
    recipe = parse_recipe(directory.resolved_text(), str(directory.resolved), overrides, registry=plugins.registry)
    return Run(directory, recipe, plugins)


def load_model(path: os.PathLike[str] | str, overrides: Sequence[str] = (), *, plugins: Plugins | None = None) -> Model:
    """Return the trained model of a run or of a single checkpoint folder, wherever it was copied to.

    Args:
        path: A run's directory or a checkpoint folder such as `step-100`.
        overrides: Changes to settings that do not affect training (`CHANGEABLE`), e.g. "sampler.num_steps=50" or
            "guidance.scale=2".
        plugins: The installed plugins. Default: loaded here.

    Raises:
        UsageError: `path` is neither a run nor a checkpoint, or an override affects training.
        NoCheckpointError: There is no valid checkpoint.
    """
    plugins = plugins or load_plugins()
    for override in overrides:
        if override.split("=")[0].split(".")[0] not in CHANGEABLE:
            raise UsageError(
                f"{override!r} cannot be changed after training; these sections can: {', '.join(CHANGEABLE)}"
            )
    folder, checkpoint = find_checkpoint(Path(path))
    text = checkpoint.number("recipe", TypeAdapter(str).validate_python)
    recipe = parse_recipe(text, str(folder), overrides, registry=plugins.registry)
    return Model.build(recipe).load(checkpoint)


def recorded_evaluation(path: os.PathLike[str] | str) -> Evaluation | None:
    """Return the last evaluation in the records of a run; None for a single checkpoint, or if there is none."""
    return None if is_checkpoint(Path(path)) else last(RunDir.open(path).records(), Evaluation)


def refuse_many_processes() -> None:
    """Raise UsageError under `torchrun` with more than one process, which is not supported yet."""
    if (count := os.environ.get("WORLD_SIZE", "1")) not in ("", "1"):
        raise UsageError(
            f"started as one of {count} processes; distributed training is not supported yet; start a single process"
        )
