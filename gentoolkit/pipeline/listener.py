"""Handling of training events: records, checkpoints, progress and observers."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gentoolkit.interrupts import StopSignal
from gentoolkit.metricslog import MetricsLog
from gentoolkit.pipeline.changes import trained_plugins
from gentoolkit.pipeline.model import Model
from gentoolkit.pipeline.observers import Observers
from gentoolkit.pipeline.progress import Progress
from gentoolkit.recipe import dump_recipe
from gentoolkit.records import Record, Step, Validation
from gentoolkit.rundir import RunDir
from gentoolkit.training import Checkpoint, Plan, TrainingState
from gentoolkit.training.checkpoints import save_checkpoint


class RunListener:
    """Records events in the run's directory, shows progress, and notifies observers.

    Training waits while a checkpoint is copied. A background thread then writes it, one checkpoint at a time.

    Attributes:
        train_seconds: Wall time of training so far, including before resuming.
    """

    def __init__(
        self,
        directory: RunDir,
        observers: Observers,
        model: Model,
        plan: Plan,
        progress: Progress,
        train_seconds: float = 0.0,
        first_step: int = 0,
    ) -> None:
        self.directory, self.observers = directory, observers
        self.model, self.plan, self.progress = model, plan, progress
        self.recipe_text = dump_recipe(model.recipe)
        self.train_seconds, self.first_step = train_seconds, first_step
        self._stop: StopSignal | None = None
        self._append: Callable[[Record], None] = directory.append
        self._metrics: MetricsLog  # while training
        self._clock = time.monotonic()
        self._verified = {first_step}  # steps of valid checkpoints
        self._writer: ThreadPoolExecutor  # while training
        self._writing: tuple[int, Future[Path]] | None = None

    @contextmanager
    def training(self, stop: StopSignal) -> Iterator[None]:
        """Show the progress of training, stop it when `stop` receives a signal, and wait for the last checkpoint."""
        self._stop, self._clock = stop, time.monotonic()
        self.progress.start("training", self.plan.total_steps, self.first_step)
        with ThreadPoolExecutor(1, "checkpoint") as self._writer, self.directory.appending() as self._metrics:
            self._append = self._metrics.append
            try:
                yield
            finally:
                self._stop, self._append = None, self.directory.append
                self.settle()

    def record(self, record: Record) -> None:
        """Append a record to `metrics.jsonl`, and notify observers of steps and validations."""
        self.settle(wait=False)
        self._append(record)
        if isinstance(record, Step):
            self.progress.advance(record.step, f"loss {record.loss:.4f}")
            self.observers.notify("step", record.step, record.content(without={"step", "path"}))
        if isinstance(record, Validation):
            self.observers.notify("validation", record.step, record.content(without={"step"}))

    def validate(self, state: TrainingState) -> None:
        """Compute the validation loss with the averaged weights, if there are any."""
        backbone, objective = state.averaged()
        was_training = backbone.training
        validation = replace(self.model, backbone=backbone, objective=objective).validate()
        backbone.train(was_training)
        self.record(Validation(step=state.step, path=validation.path, **validation.numbers()))
        self.say(f"step {state.step}: validation loss {validation.loss:.4f}")

    def checkpoint(self, state: TrainingState) -> None:
        """Start writing a checkpoint. It contains the recipe, so it can be used on its own."""
        self.settle()
        now = time.monotonic()
        self.train_seconds, self._clock = self.train_seconds + now - self._clock, now
        extra = {
            "recipe": self.recipe_text,
            "plugins": trained_plugins(self.model.recipe),
            **self._metrics.mark(),
            "train_seconds": self.train_seconds,
        }
        self._writing = state.step, self._writer.submit(self._write, state.checkpoint(extra).copied())

    def _write(self, checkpoint: Checkpoint) -> Path:
        """Sync the records that the checkpoint refers to, then write it. Runs in the writer thread."""
        self.directory.sync_metrics()
        keep = self.model.recipe.train.keep_checkpoints
        folder = save_checkpoint(self.directory.checkpoints, checkpoint, keep, self._verified)
        self._verified.add(checkpoint.step)
        return folder

    def settle(self, wait: bool = True) -> None:
        """Report the checkpoint that was being written, or raise the exception that writing it raised.

        Args:
            wait: Whether to wait until it is written. Otherwise, do nothing if it is still being written.
        """
        if self._writing is None or not (wait or self._writing[1].done()):
            return
        (step, writing), self._writing = self._writing, None
        folder = writing.result()
        self.note(f"checkpoint {folder}")
        self.observers.notify("checkpoint", step, folder)

    def should_stop(self) -> bool:
        """Return whether a signal was received."""
        return self._stop is not None and self._stop.number is not None

    def failed(self, message: str, cause: BaseException | None = None) -> None:
        """Write the reason why the run failed, with the traceback of its cause, to `log.txt`, and notify observers."""
        self.note(message)
        if cause is not None:
            self.note("".join(traceback.format_exception(cause)).rstrip())
            self.progress.say(f"the traceback is in {self.directory.log}")
        self.observers.notify("failed", message)

    def say(self, message: str) -> None:
        """Show a message and write it to `log.txt`."""
        self.progress.say(message)
        self.note(message)

    def note(self, message: str) -> None:
        """Write a message to `log.txt`."""
        self.directory.note(message)
