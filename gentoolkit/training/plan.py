"""What follows from the settings and the size of the data: steps, epochs, order, learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gentoolkit.errors import UsageError, raise_together
from gentoolkit.randomness import Permutation
from gentoolkit.settings import TrainSettings

#: Samples whose order is found at once: for one small batch numpy's calls would cost more than its arithmetic.
ORDER_BLOCK = 16_384

#: Progress in [0, 1] -> the share of the peak learning rate.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),  # Loshchilov and Hutter 2017, arXiv:1608.03983
    "linear": lambda progress: 1 - progress,
}


@dataclass(frozen=True)
class Plan:
    """The schedule of a run; pure functions of the step, so there is nothing to save.

    Attributes:
        settings: The recipe's `train` section.
        num_samples: Size of the training data.
        seed: The run's seed.

    Raises:
        UsageError: The data does not fill one batch, or the warm-up fills the whole run.
    """

    settings: TrainSettings
    num_samples: int
    seed: int

    def __post_init__(self) -> None:
        raise_together(self._check_batch_size, self._check_warmup)

    def _check_batch_size(self) -> None:
        if self.num_samples < self.settings.batch_size:
            raise UsageError(
                f"train.batch_size {self.settings.batch_size} is more than the {self.num_samples} training samples; "
                "make it smaller, or the dataset larger"
            )

    def _check_warmup(self) -> None:
        if self.settings.epochs and not self.steps_per_epoch:
            return  # there is no length to compare with
        if self.settings.warmup_steps >= self.total_steps:
            raise UsageError(
                f"train.warmup_steps {self.settings.warmup_steps} leaves nothing of {self.total_steps} steps; lower it"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Return the number of full batches in an epoch."""
        return self.num_samples // self.settings.batch_size

    @property
    def total_steps(self) -> int:
        """Return the number of optimizer steps of the run."""
        return self.settings.steps or (self.settings.epochs or 0) * self.steps_per_epoch

    @property
    def checkpoint_every(self) -> int:
        """Return the steps between checkpoints."""
        return self.settings.checkpoint_every or math.ceil(self.total_steps / 10)

    def indices(self, step: int) -> np.ndarray:
        """Return the samples of a step, (batch_size,): the next ones of the epoch's keyed permutation."""
        epoch, position = divmod(step, self.steps_per_epoch)
        size = self.settings.batch_size
        steps = max(1, ORDER_BLOCK // size)
        block, row = divmod(position, steps)
        order = _order(self.num_samples, self.seed, epoch, block, steps * size)
        return order[row * size : (row + 1) * size].copy()  # a dataset may change what it is given

    def learning_rates(self, rate: float) -> dict[str, float]:
        """Return the learning rates at `rate` times their peaks, by the names of their settings."""
        muon = {"matrix_learning_rate": rate * self.settings.matrix_learning_rate}
        return {"learning_rate": rate * self.settings.learning_rate} | (
            muon if self.settings.optimizer == "muon" else {}
        )

    def rate(self, step: int) -> float:
        """Return the share of the peak learning rates that a step uses, in [0, 1]."""
        warmup, total = self.settings.warmup_steps, self.total_steps
        if step < warmup:
            return (step + 1) / warmup
        if self.settings.schedule_unit == "epoch":
            progress = (step // self.steps_per_epoch) / math.ceil(total / self.steps_per_epoch)
        else:
            progress = (step - warmup) / (total - warmup)
        return SCHEDULES[self.settings.schedule](progress)


@lru_cache(maxsize=2)
def _order(num_samples: int, seed: int, epoch: int, block: int, size: int) -> np.ndarray:
    """Return a block of the epoch's permutation, (size,); the last one of an epoch is shorter."""
    positions = np.arange(block * size, min((block + 1) * size, num_samples))
    return _permutation(num_samples, seed, epoch)(positions)


@lru_cache(maxsize=1)
def _permutation(num_samples: int, seed: int, epoch: int) -> Permutation:
    return Permutation(num_samples, seed, "order", epoch)
