"""What a run does with the events of its training: records, checkpoints, progress, observers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from gentoolkit.interrupts import StopSignal
from gentoolkit.pipeline.model import Model
from gentoolkit.pipeline.progress import Progress
from gentoolkit.plugins import Plugins
from gentoolkit.recipe import dump_recipe
from gentoolkit.rundir import RunDir
from gentoolkit.training import Plan, TrainingState
from gentoolkit.training.checkpoints import save_checkpoint


class RunListener:
    """Writes what happens to the run's directory, shows it, and tells the plugins that watch.

    Attributes:
        train_seconds: Wall time of the training so far, over all resumptions.
    """

    def __init__(
        self,
        directory: RunDir,
        plugins: Plugins,
        model: Model,
        plan: Plan,
        progress: Progress,
        train_seconds: float = 0.0,
    ) -> None:
        self.directory, self.plugins, self.model, self.plan, self.progress = directory, plugins, model, plan, progress
        self.recipe_text = dump_recipe(model.recipe)
        self.train_seconds = train_seconds
        self._stop: StopSignal | None = None
        self._clock = time.monotonic()

    @contextmanager
    def training(self, stop: StopSignal, first_step: int) -> Iterator[None]:
        """Show the training's progress, and end it when `stop` has a signal."""
        self._stop, self._clock = stop, time.monotonic()
        self.progress.start("training", self.plan.total_steps)
        self.progress.advance(first_step)
        yield
        self._stop = None

    def record(self, event: str, values: dict[str, Any]) -> None:
        """Append a line to `metrics.jsonl`, and tell the observers of steps and validations."""
        self.directory.append(event, values)
        if event == "step":
            self.progress.advance(values["step"], f"loss {values['loss']:.4f}")
            heard = {name: value for name, value in values.items() if name != "step"}
            self.plugins.notify("gentoolkit_step", step=values["step"], values=heard)
        if event == "validation":
            self.plugins.notify("gentoolkit_step", step=values["step"], values={"validation_loss": values["loss"]})

    def validate(self, state: TrainingState) -> None:
        """Measure the averaged weights on the held-out data."""
        backbone, objective = state.averaged()
        was_training = backbone.training
        validation = Model(self.model.recipe, self.model.device, backbone, objective, self.model.sampler).validate()
        backbone.train(was_training)
        self.record("validation", {"step": state.step, **validation.to_dict()})
        self.say(f"step {state.step}: validation loss {validation.loss:.4f}")

    def checkpoint(self, state: TrainingState) -> None:
        """Write a checkpoint that also holds the recipe, so that it is enough by itself."""
        now = time.monotonic()
        self.train_seconds, self._clock = self.train_seconds + now - self._clock, now
        extra = {
            "recipe": self.recipe_text,
            "metrics_size": self.directory.sync_metrics(),
            "train_seconds": self.train_seconds,
        }
        root = self.directory.checkpoints
        folder = save_checkpoint(root, state.checkpoint(extra), self.model.recipe.train.keep_checkpoints)
        self.note(f"checkpoint {folder}")
        self.plugins.notify("gentoolkit_checkpoint", step=state.step, directory=str(folder))

    def should_stop(self) -> bool:
        """Return whether a signal came."""
        return self._stop is not None and self._stop.number is not None

    def say(self, message: str) -> None:
        """Show a line, and keep it in `log.txt`."""
        self.progress.say(message)
        self.note(message)

    def note(self, message: str) -> None:
        """Keep a line in `log.txt`."""
        with self.directory.log.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {message}\n")
