"""A run at work: training, then sampling, measuring and drawing."""

from __future__ import annotations

import signal
import time
import warnings
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from gentoolkit.devices import choose_precision
from gentoolkit.errors import InterruptedRun
from gentoolkit.interrupts import StopSignal
from gentoolkit.pipeline.checks import check_parts
from gentoolkit.pipeline.listener import RunListener
from gentoolkit.pipeline.model import Model
from gentoolkit.pipeline.outputs import draw_pictures, save_samples, write_page
from gentoolkit.pipeline.progress import Progress
from gentoolkit.plugins import Plugins
from gentoolkit.protocols import Dataset
from gentoolkit.provenance import peak_memory_mib
from gentoolkit.recipe import Recipe
from gentoolkit.records import Finite, Step, cut_back
from gentoolkit.rundir import RunDir
from gentoolkit.training import Checkpoint, Plan, TrainingState, list_checkpoints, train


@dataclass
class Work:
    """All that a run needs in memory.

    Attributes:
        model: The parts, built.
        data: The training split.
        plan: Steps, order and learning rates.
        state: What training changes.
        precision: What `auto` became.
        train_seconds: Wall time of the training before this process, over all resumptions.
    """

    model: Model
    data: Dataset
    plan: Plan
    state: TrainingState
    precision: str
    train_seconds: float = 0.0

    @classmethod
    def prepare(cls, recipe: Recipe, precision: str | None = None) -> Work:
        """Build everything, and find what would only fail after the training.

        Raises:
            PluginError: A part gives another shape or type than it promises.
            UsageError: The batch or the evaluation needs more data than there is, or the device is missing.
        """
        model = Model.build(recipe)
        data = model.dataset("train")
        plan = Plan(recipe.train, len(data), recipe.seed)
        check_parts(model, data)
        model.check_held_out()
        state = TrainingState(model.backbone, model.objective, recipe.train)
        return cls(model, data, plan, state, choose_precision(precision or recipe.train.precision, model.device))

    def restore(self, saved: Checkpoint, directory: RunDir) -> None:
        """Go back to a checkpoint, and cut the records back to it; damaged records are reported, and no obstacle.

        Raises:
            NoCheckpointError: It lacks something, or holds what can't be right.
        """
        seconds = saved.number("train_seconds", TypeAdapter(Finite).validate_python)
        size = saved.number("metrics_size", TypeAdapter(Step).validate_python)
        sha256 = saved.number("metrics_sha256", TypeAdapter(str).validate_python)
        self.state.restore(saved)
        self.train_seconds = seconds
        every = self.plan.settings.log_every
        logged = range(every, saved.step + 1, every)
        if damage := cut_back(directory.inside(directory.metrics), saved.step, size, sha256, logged):
            warnings.warn(str(damage), stacklevel=2)
            directory.note(f"warning: {damage}")
            directory.append("metrics_damaged", damage.to_dict())

    def carry_out(self, directory: RunDir, plugins: Plugins, progress: Progress) -> None:
        """Train from where the state is, then sample, measure and draw."""
        listener = RunListener(directory, plugins, self.model, self.plan, progress, self.train_seconds)
        stop = StopSignal()
        try:
            with stop:
                self._train(listener, stop)
                stop.act_at_once()
                self._finish(listener)
        except KeyboardInterrupt:
            saved = list_checkpoints(directory.checkpoints)
            message = (
                f"stopped at once; {saved[0].name} is saved, continue with: gentool resume {directory.path}"
                if saved
                else "stopped at once, before the first checkpoint; nothing is saved, "
                f"start again with: gentool run {directory.resolved}"
            )
            listener.note(message)
            raise InterruptedRun(message, stop.number or signal.SIGINT) from None
        except Exception as error:
            listener.note(f"{type(error).__name__}: {error}")
            raise

    def _train(self, listener: RunListener, stop: StopSignal) -> None:
        directory, state, total = listener.directory, self.state, self.plan.total_steps
        where = f"on {self.model.device.type} in {self.precision}, a checkpoint every {self.plan.checkpoint_every}"
        rest = "; all are done, only the rest is made again" if state.step == total else ""
        listener.say(f"run {directory.path}: steps {state.step} to {total} {where}{rest}")
        recipe = self.model.recipe.resolved()
        listener.plugins.notify("gentoolkit_run_started", directory=str(directory.path), recipe=recipe)
        with listener.training(stop, state.step):
            done = train(state, self.data, self.model.spec, self.plan, listener, self.model.device, self.precision)
        if not done:
            raise InterruptedRun(
                f"stopped at step {state.step} of {total}, saved; continue with: gentool resume {directory.path}",
                stop.number or signal.SIGINT,
            )
        if state.ema is not None:
            state.weights.load_state_dict(state.ema.state_dict())

    def _finish(self, listener: RunListener) -> None:
        directory, model = listener.directory, replace(self.model, step=self.state.step)
        times = [time.monotonic()]
        listener.say("sampling ...")
        samples = model.sample()
        files = save_samples(model, samples, directory.inside(directory.samples / "samples.safetensors"))
        listener.plugins.notify("gentoolkit_samples", file=str(files["samples"]))
        times.append(time.monotonic())
        listener.say("measuring ...")
        figures = model.evaluate()
        listener.record("evaluation", figures)
        times.append(time.monotonic())
        listener.say("drawing ...")
        draw_pictures(directory, model, samples, [figures])
        seconds = {"train": listener.train_seconds, "sample": times[1] - times[0], "evaluate": times[2] - times[1]}
        listener.record("finished", {"seconds": seconds, "peak_memory_mib": peak_memory_mib(model.device)})
        write_page(directory, model.recipe)
        results = directory.summary()
        listener.plugins.notify("gentoolkit_run_finished", directory=str(directory.path), results=results)
