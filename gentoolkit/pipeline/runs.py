"""A run from its recipe to its report, and from its last checkpoint on."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gentoolkit import provenance
from gentoolkit.devices import choose_precision
from gentoolkit.errors import GentoolError, InterruptedRun, UsageError
from gentoolkit.interrupts import StopSignal
from gentoolkit.pipeline.listener import RunListener
from gentoolkit.pipeline.model import Model
from gentoolkit.pipeline.outputs import GRID, draw_pictures, draw_samples, write_page, write_samples
from gentoolkit.pipeline.progress import Progress, Silent
from gentoolkit.plugins import Plugins, load_plugins
from gentoolkit.recipe import Recipe, dump_recipe, load_recipe, parse_recipe
from gentoolkit.rundir import RunDir
from gentoolkit.sampling import Samples
from gentoolkit.training import Plan, TrainingState, load_checkpoint, newest_checkpoint, train

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
            load_checkpoint(checkpoint or newest_checkpoint(self.directory.checkpoints))
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

        file = self.directory.images / GRID
        if samples is not None:
            file = draw_samples(self.model(), samples, self.directory.images / "shown.png")
        if not file.exists():
            raise UsageError(f"there is no picture of samples of shape {self.recipe.spec.shape}")
        return Image.open(BytesIO(file.read_bytes()))

    def evaluate(self) -> dict[str, Any]:
        """Measure the newest weights again and return the figures; see `Model.evaluate`."""
        return self.model().evaluate()

    def report(self) -> Path:
        """Draw the pictures and the page again, from the newest weights, and return the page's path."""
        model = self.model()
        draw_pictures(self.directory, model, model.sample(), self.records("evaluation"))
        return write_page(self.directory, self.recipe)

    def records(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return the lines of `metrics.jsonl`, of one event ("step", "epoch", "evaluation", ...) where named."""
        return self.directory.records(event)

    def summary(self) -> dict[str, Any]:
        """Return where the run is and its last figures, as plain JSON data."""
        finished, evaluations = self.records("finished"), self.records("evaluation")
        return {
            "run": str(self.path),
            "report": str(self.directory.report),
            "seconds": finished[-1]["seconds"] if finished else None,
            "evaluation": {k: v for k, v in evaluations[-1].items() if k != "event"} if evaluations else None,
        }


def run(
    recipe: Recipe,
    root: Path | str = "runs",
    *,
    plugins: Plugins | None = None,
    command: Sequence[str] = (),
    progress: Progress | None = None,
) -> Run:
    """Train, sample, measure and report.

    Args:
        recipe: From `load_recipe`.
        root: Where the run's directory is made.
        plugins: The installed plugins, where the caller has loaded them.
        command: What was typed, for the provenance.
        progress: Shows how far the run is.

    Raises:
        UsageError: The batch is larger than the data, the device is missing, or `root` can't be written.
        NonFiniteError: A loss or gradient is not finite.
        InterruptedRun: A signal came; the state is saved.
    """
    refuse_many_processes()
    plugins = plugins or load_plugins()
    model = Model.build(recipe)
    # Made before the directory, so that a recipe that can't be trained leaves none behind.
    plan = Plan(recipe.train, len(model.dataset("train")), recipe.seed)
    model.check_held_out()
    directory = RunDir.create(Path(root), recipe.name)
    directory.recipe.write_text(recipe.text, encoding="utf-8")
    directory.resolved.write_text(dump_recipe(recipe), encoding="utf-8")
    precision = choose_precision(recipe.train.precision, model.device)
    origin = provenance.collect(
        recipe.text, recipe.seed, command or sys.argv, used_plugins(recipe), model.device, precision
    )
    directory.provenance.write_text(json.dumps(origin, indent=2) + "\n", encoding="utf-8")
    with directory.locked():
        return _carry_out(Run(directory, recipe, plugins), model, plan, precision, progress or Silent(), None)


def resume(
    path: Path | str,
    *,
    plugins: Plugins | None = None,
    command: Sequence[str] = (),
    progress: Progress | None = None,
) -> Run:
    """Continue a run from its newest valid checkpoint; a run that had finished is only sampled and measured again.

    Raises:
        UsageError: There is no run at `path`.
        NoCheckpointError: No checkpoint verifies.
    """
    refuse_many_processes()
    found = open_run(path, plugins=plugins)
    with found.directory.locked():
        folder = newest_checkpoint(found.directory.checkpoints)
        model = Model.build(found.recipe)
        plan = Plan(found.recipe.train, len(model.dataset("train")), found.recipe.seed)
        precision = choose_precision(found.recipe.train.precision, model.device)
        return _carry_out(found, model, plan, precision, progress or Silent(), folder)


def open_run(path: Path | str, *, plugins: Plugins | None = None) -> Run:
    """Return the run at `path`, e.g. `runs/dit_flow-1`.

    Raises:
        UsageError: There is no run.
    """
    plugins = plugins or load_plugins()
    directory = RunDir.open(path)
    recipe = load_recipe(directory.resolved, registry=plugins.registry)
    return Run(directory, recipe, plugins)


def load_model(path: Path | str, overrides: Sequence[str] = (), *, plugins: Plugins | None = None) -> Model:
    """Return the trained model of a run, or of one checkpoint folder, wherever it was copied to.

    Args:
        path: A run, or a `step-N` folder.
        overrides: Changes to the recipe, e.g. "sampler.num_steps=50" or "sample.guidance=2".
        plugins: The installed plugins, where the caller has loaded them.

    Raises:
        UsageError: There is neither at `path`.
        NoCheckpointError: No checkpoint verifies.
    """
    path, plugins = Path(path), plugins or load_plugins()
    folder = path if path.name.startswith("step-") else newest_checkpoint(RunDir.open(path).checkpoints)
    checkpoint = load_checkpoint(folder)
    recipe = parse_recipe(checkpoint.numbers["recipe"], f"{folder}", overrides, registry=plugins.registry)
    return Model.build(recipe).load(checkpoint)


def refuse_many_processes() -> None:
    """Raise UsageError under `torchrun` with more than one process: a run is one process so far."""
    if (count := os.environ.get("WORLD_SIZE", "1")) not in ("", "1"):
        raise UsageError(f"started as one of {count} processes; training in many is not supported yet, start one")


def used_plugins(recipe: Recipe) -> dict[str, str]:
    """Return distribution -> version of every component in the recipe."""
    parts = (recipe.dataset, recipe.backbone, recipe.objective, recipe.sampler, *recipe.metrics)
    return {part.entry.distribution: part.entry.version for part in parts}


def _carry_out(
    current: Run, model: Model, plan: Plan, precision: str, progress: Progress, checkpoint: Path | None
) -> Run:
    listener = RunListener(current, model, plan, progress)
    try:
        listener.say(f"run {current.path}: {plan.total_steps} steps on {model.device.type} in {precision}")
        _train(current, model, plan, precision, listener, checkpoint)
        _finish(current, model, listener)
    except GentoolError as error:
        listener.note(f"{type(error).__name__}: {error}")
        raise
    return current


def _train(
    current: Run, model: Model, plan: Plan, precision: str, listener: RunListener, checkpoint: Path | None
) -> None:
    state = TrainingState(model.backbone, model.objective, current.recipe.train)
    if checkpoint is not None:
        saved = load_checkpoint(checkpoint)
        state.restore(saved)
        current.directory.truncate_metrics(saved.numbers["metrics_size"])
        listener.train_seconds = saved.numbers["train_seconds"]
        listener.say(f"resumed at step {state.step} of {plan.total_steps}")
    current.plugins.notify("gentoolkit_run_started", directory=str(current.path), recipe=current.recipe.resolved())
    with StopSignal() as stop, listener.training(stop, state.step):
        done = train(state, model.dataset("train"), model.spec, plan, listener, model.device, precision)
    if not done:
        raise InterruptedRun(
            f"stopped at step {state.step} of {plan.total_steps}, saved; continue with: gentool resume {current.path}",
            stop.number or 2,
        )
    if state.ema is not None:
        state.weights.load_state_dict(state.ema.state_dict())


def _finish(current: Run, model: Model, listener: RunListener) -> None:
    started = time.monotonic()
    listener.stage("sampling")
    samples = model.sample()
    file = write_samples(current.directory, samples, "samples")
    current.plugins.notify("gentoolkit_samples", file=str(file))
    sampled = time.monotonic()
    listener.stage("measuring")
    figures = model.evaluate()
    listener.record("evaluation", {"step": listener.plan.total_steps, **figures})
    measured = time.monotonic()
    listener.stage("drawing")
    draw_pictures(current.directory, model, samples, [figures])
    seconds = {"train": listener.train_seconds, "sample": sampled - started, "evaluate": measured - sampled}
    listener.record("finished", {"seconds": seconds, "peak_memory_mib": peak_memory_mib(model.device)})
    write_page(current.directory, current.recipe)
    current.plugins.notify("gentoolkit_run_finished", directory=str(current.path), results=current.summary())


def peak_memory_mib(device: torch.device) -> float | None:
    """Return the most memory that was held so far, in MiB: the device's on CUDA, else the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
