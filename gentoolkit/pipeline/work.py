"""The stages of a run: training, sampling, evaluating and drawing."""

from __future__ import annotations

import signal
import time
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pydantic import TypeAdapter

from gentoolkit.devices import Placement, choose_device
from gentoolkit.errors import GentoolError, InterruptedRun, raise_together
from gentoolkit.interrupts import StopSignal
from gentoolkit.metricslog import cut_back, damage_text, shortened
from gentoolkit.pipeline.blame import blame
from gentoolkit.pipeline.evaluate import check_held_out
from gentoolkit.pipeline.listener import RunListener
from gentoolkit.pipeline.memory import copies_in_training, needs_of_data, require_memory
from gentoolkit.pipeline.model import Model
from gentoolkit.pipeline.observers import Observers
from gentoolkit.pipeline.page import write_page
from gentoolkit.pipeline.pictures import draw_pictures
from gentoolkit.pipeline.progress import Progress
from gentoolkit.pipeline.saving import save_samples
from gentoolkit.pipeline.threads import threads_for
from gentoolkit.pipeline.trial import Trial
from gentoolkit.provenance import peak_memory_mib
from gentoolkit.recipe import Recipe
from gentoolkit.records import Finished, Index, Seconds
from gentoolkit.registry import build
from gentoolkit.rundir import RunDir
from gentoolkit.training import Checkpoint, Plan, TrainingState, list_checkpoints, train


def plan_of(recipe: Recipe, num_samples: int) -> Plan:
    """Return the plan of a run with that number of training samples."""
    with blame(recipe, "building"):
        schedule = build(recipe.train.schedule)
    return Plan(recipe.train, num_samples, recipe.seed, schedule)


def state_of(model: Model, placement: Placement) -> TrainingState:
    """Return the training state of a model that has not been trained yet, with its optimizer. No weights are copied."""
    train = model.recipe.train
    with blame(model.recipe, "building"):
        optimizer = partial(build, train.optimizer)
        return TrainingState(model.backbone, model.objective, train, optimizer, placement.matrix_dtype, model.codec)


@dataclass
class Work:
    """Everything that a run keeps in memory.

    Attributes:
        operations: Number of operations of the layers per micro-batch of training.
        train_seconds: Wall time of training before this process.
    """

    model: Model
    plan: Plan
    state: TrainingState
    placement: Placement
    operations: float
    train_seconds: float = 0.0

    @classmethod
    def prepare(
        cls,
        recipe: Recipe,
        precision: str | None = None,
        initial: Checkpoint | None = None,
        fitted: Checkpoint | None = None,
    ) -> Work:
        """Build everything and run the checks and the trial, to find errors before training starts.

        Args:
            recipe: The recipe.
            precision: The precision that the run started with. Default: as in the recipe.
            initial: A checkpoint with the initial weights and the codec. Default: random weights.
            fitted: A checkpoint with the codec of the run. Default: that of `initial`, else the codec is fitted here.

        Raises:
            PluginError: A component raises an exception, or returns a wrong shape or type.
            UsageError: The batch or the evaluation needs more data than there is, or the device is not available.
            OutOfSpaceError: The run does not fit into memory.
        """
        device = choose_device(recipe.device)
        require_memory(needs_of_data(recipe), device)
        model = Model.build(recipe, copies_in_training(recipe))
        if initial is not None:
            model.load(initial)
        placement = Placement.choose(device, precision or recipe.train.precision)
        trial = Trial(model, placement)
        trial.data()
        trial.memory()
        planned = partial(plan_of, recipe, len(model.splits["train"]))
        raise_together(planned, partial(check_held_out, model))
        if fitted is not None:
            model.load_codec(fitted)
        elif initial is None:
            model.fit_codec()
        trial.parts()
        operations = trial.operations * recipe.train.batch_size / recipe.train.accumulation
        return cls(model, planned(), state_of(model, placement), placement, operations)

    def restore(self, saved: Checkpoint, directory: RunDir, anew: Collection[str] = ()) -> None:
        """Restore the state from a checkpoint, and cut the records back to it. Damaged records cause a warning only.

        Raises:
            NoCheckpointError: The checkpoint is incomplete or contains invalid values.
        """
        seconds = saved.number("train_seconds", TypeAdapter(Seconds).validate_python)
        size = saved.number("metrics_size", TypeAdapter(Index).validate_python)
        sha256 = saved.number("metrics_sha256", TypeAdapter(str).validate_python)
        with blame(self.model.recipe, "resuming"):
            self.state.restore(saved, anew)
        self.train_seconds = seconds
        every = self.plan.settings.log_every
        logged = range(every, saved.step + 1, every)
        if damage := cut_back(directory.inside(directory.metrics), saved.step, size, sha256, logged):
            warnings.warn(damage_text(damage), stacklevel=2)
            directory.note(f"warning: {damage_text(damage)}")
            directory.append(shortened(damage))

    def carry_out(self, directory: RunDir, progress: Progress, news: Sequence[str] = ()) -> None:
        """Train from the current state on, then sample, evaluate and draw. Show and log the lines in `news` first."""
        observers = Observers(self.model.recipe, directory.path)
        seconds, step = self.train_seconds, self.state.step
        listener = RunListener(directory, observers, self.model, self.plan, progress, seconds, step)
        for line in news:
            listener.say(line)
        stop = StopSignal()
        try:
            with stop:
                self._train(listener, stop)
                stop.act_at_once()
                self._finish(listener)
        except KeyboardInterrupt:
            saved = list_checkpoints(directory.checkpoints)
            message = (
                f"stopped immediately; {saved[0].name} is saved; continue with: gentool resume {directory.path}"
                if saved
                else "stopped immediately, before the first checkpoint; nothing is saved; "
                f"start again with: gentool run {directory.resolved}"
            )
            listener.failed(message)
            raise InterruptedRun(message, stop.number or signal.SIGINT) from None
        except BaseException as error:
            cause = error.__cause__ if isinstance(error, GentoolError) else error
            listener.failed(f"{type(error).__name__}: {error}", None if isinstance(cause, GentoolError) else cause)
            raise
        finally:
            observers.notify("close")

    def _train(self, listener: RunListener, stop: StopSignal) -> None:
        directory, state, total = listener.directory, self.state, self.plan.total_steps
        every = "step" if self.plan.checkpoint_every == 1 else f"{self.plan.checkpoint_every} steps"
        where = f"on {self.placement.device.type} in {self.placement.precision}, a checkpoint every {every}"
        rest = "; training is complete, repeating only sampling and evaluation" if state.step == total else ""
        listener.say(f"run {directory.path}: steps {state.step} to {total} {where}{rest}")
        listener.observers.notify("started", self.model.recipe.resolved(), state.step)
        with (
            listener.training(stop),
            threads_for(self.operations, self.placement.device),
            blame(self.model.recipe, lambda: f"training step {state.step + 1}"),
        ):
            done = train(state, self.model.pairs(), self.plan, listener, self.placement)
        if not done:
            raise InterruptedRun(
                f"stopped at step {state.step} of {total} and saved; continue with: gentool resume {directory.path}",
                stop.number or signal.SIGINT,
            )
        if state.ema is not None:
            state.weights.load_state_dict(state.ema.state_dict())

    def _finish(self, listener: RunListener) -> None:
        directory, model = listener.directory, replace(self.model, step=self.state.step)
        times = [time.monotonic()]
        listener.say("sampling ...")
        samples = model.sample()
        file = directory.inside(directory.samples / "samples.safetensors")
        files = save_samples(model, samples, file, picture=False)  # which is drawn with the others
        listener.observers.notify("samples", files["samples"])
        times.append(time.monotonic())
        listener.say("evaluating ...")
        listener.record(model.evaluate(samples))
        times.append(time.monotonic())
        listener.say("drawing ...")
        with blame(model.recipe, "drawing"):
            draw_pictures(directory, model, samples)
        seconds = {"train": listener.train_seconds, "sample": times[1] - times[0], "evaluate": times[2] - times[1]}
        listener.record(Finished(seconds=seconds, peak_memory_mib=peak_memory_mib(model.device)))
        write_page(directory, model.recipe)
        listener.observers.notify("finished", directory.summary())
