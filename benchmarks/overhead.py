"""What a run costs around the model: `train` with its data, keyed draws, log and checkpoints against a bare loop.

The bare loop has the same network, objective, AdamW, clipping and average, and nothing else: its one batch lies ready,
and its draws come from one generator. A checkpoint is written while steps are taken, and counted as often as the recipe
wants one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from benchmarks.reference import CPU, reference
from benchmarks.timing import Row, interleaved, ratio
from benchmarks.toy import toy_model
from gentoolkit.devices import Placement
from gentoolkit.interrupts import StopSignal
from gentoolkit.pipeline import Model
from gentoolkit.pipeline.listener import RunListener
from gentoolkit.pipeline.observers import Observers
from gentoolkit.pipeline.progress import Silent
from gentoolkit.pipeline.work import plan_of, state_of
from gentoolkit.protocols import Batch, TrainingContext
from gentoolkit.rundir import RunDir
from gentoolkit.training import TrainingState, train

SECTION = "overhead of the pipeline"


class Draws:
    """What objectives draw, from one generator."""

    def __init__(self, count: int) -> None:
        self.count, self.generator = count, torch.Generator().manual_seed(0)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.count, *shape, generator=self.generator)

    def uniform(self) -> Tensor:
        return torch.rand(self.count, generator=self.generator)

    def stratified(self) -> Tensor:
        return (torch.rand((), generator=self.generator) + torch.arange(self.count) / self.count) % 1


class BareLoop:
    """The operations of a training step with AdamW, at a constant learning rate."""

    def __init__(self, model: Model) -> None:
        self.objective, self.backbone, self.settings = model.objective, model.backbone.train(), model.recipe.train
        self.placement = Placement.choose(CPU, self.settings.precision)
        self.parameters: list[Tensor] = list(self.backbone.parameters())
        self.averages: list[Tensor] = list(deepcopy(self.backbone).requires_grad_(False).parameters())
        config: Any = self.settings.optimizer
        rate, decay = config.learning_rate, config.weight_decay
        self.optimizer = torch.optim.AdamW(self.parameters, lr=rate, betas=config.betas, weight_decay=decay, fused=True)

    def steps(self, count: int, batch: Batch, draws: Any) -> None:
        """Take `count` steps on the same batch."""
        for _ in range(count):
            self.step(batch, draws)

    def step(self, batch: Batch, draws: Any) -> None:
        """Take a step; `draws` is a `Draws` or a `BatchGenerator`."""
        x0 = draws.normal(*batch.x1.shape[1:]) if batch.x0 is None else batch.x0
        batch = Batch(batch.x1, batch.condition, x0)
        self.optimizer.zero_grad()
        with self.placement.autocast():
            loss = self.objective.loss(self.backbone, batch, TrainingContext(draws)).loss
        (loss.sum() / len(loss)).backward()
        if self.settings.clip_norm:
            clip_grad_norm_(self.parameters, self.settings.clip_norm)
        self.optimizer.step()
        if self.settings.ema and self.settings.ema.decay:
            with torch.no_grad():
                torch._foreach_lerp_(self.averages, self.parameters, 1 - self.settings.ema.decay)


class Window(RunListener):
    """A run's own listener that hands control back after some steps, and saves only when it is told to."""

    left = 0

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left == 0

    def checkpoint(self, state: TrainingState) -> None:
        """Leave out the checkpoint that `train` makes before it stops."""


class OurLoop:
    """A run that is trained a few steps at a time."""

    def __init__(self, model: Model, root: Path) -> None:
        recipe = model.recipe
        self.placement = Placement.choose(CPU, recipe.train.precision)
        self.pairs, self.plan = model.pairs(), plan_of(recipe, len(model.splits["train"]))
        self.state = state_of(model, self.placement)
        directory = RunDir.create(root, recipe.name)
        self.listener = Window(directory, Observers(recipe, directory.path), model, self.plan, Silent())

    def steps(self, count: int, save: bool) -> None:
        """Take `count` steps; with `save`, a checkpoint is begun before them and is on the disk when this returns."""
        self.listener.left = count
        with self.listener.training(StopSignal()):
            if save:
                RunListener.checkpoint(self.listener, self.state)
            train(self.state, self.pairs, self.plan, self.listener, self.placement)


def compare(name: str, make: Callable[[], Model], steps: int, rounds: int) -> Row:
    """Return the time of our steps over that of bare ones, `steps` a timing."""
    model = make()
    size = model.recipe.train.batch_size
    batch, bare, draws = model.splits["train"].batch(np.arange(size)), BareLoop(make()), Draws(size)
    with tempfile.TemporaryDirectory() as folder:
        ours = OurLoop(model, Path(folder))
        every = ours.plan.checkpoint_every
        times = interleaved(
            {
                "bare": lambda: bare.steps(steps, batch, draws),
                "ours": lambda: ours.steps(steps, save=False),
                "saving": lambda: ours.steps(steps, save=True),
            },
            rounds,
        )
    saves = [saving - plain for saving, plain in zip(times["saving"], times["ours"], strict=True)]
    total = [plain + save * steps / every for plain, save in zip(times["ours"], saves, strict=True)]
    in_steps = sorted(save * steps / plain for save, plain in zip(saves, times["bare"], strict=True))[rounds // 2]
    note = f"batch {size}; a checkpoint costs {in_steps:.1f} steps and comes every {every}"
    return ratio(SECTION, f"{name}: train() / bare loop", total, times["bare"], note)


def measure(quick: bool) -> list[Row]:
    """Return the ratios for the reference recipe's transformer and for a 2-D perceptron."""
    average = "train.ema.decay=0.999"
    size = f"train.batch_size={8 if quick else 64}"
    return [
        compare("DiT", lambda: Model.build(reference(size, average)), *((4, 3) if quick else (3, 7))),
        compare("2-D perceptron", lambda: toy_model(average), 200 if quick else 500, 9),
    ]
