"""The plan of a training run: steps, epochs, data order and learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gentoolkit.errors import UsageError, raise_together
from gentoolkit.randomness import Permutation
from gentoolkit.settings import TrainSettings

#: Number of samples whose order is computed at once, since numpy's overhead per call is large for small batches.
ORDER_BLOCK = 16_384

#: Progress in [0, 1] -> fraction of the peak learning rate.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),  # Loshchilov and Hutter 2017, arXiv:1608.03983
    "linear": lambda progress: 1 - progress,
}


@dataclass(frozen=True)
class Plan:
    """The plan of a training run. All of it depends only on the step, so checkpoints need not contain it.

    Attributes:
        settings: The recipe's `train` section.
        num_samples: Number of training samples.
        seed: The run's seed.

    Raises:
        UsageError: The data has fewer samples than a batch, or the warm-up is as long as the run.
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
                "lower it or use more data"
            )

    def _check_warmup(self) -> None:
        if self.settings.epochs and not self.steps_per_epoch:
            return  # the number of steps is unknown
        if self.settings.warmup_steps >= self.total_steps:
            raise UsageError(
                f"train.warmup_steps is {self.settings.warmup_steps}, but training has only {self.total_steps} steps; "
                "lower it"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Return the number of full batches in an epoch."""
        return self.num_samples // self.settings.batch_size

    @property
    def total_steps(self) -> int:
        """Return the number of optimizer steps in the run."""
        return self.settings.steps or (self.settings.epochs or 0) * self.steps_per_epoch

    @property
    def checkpoint_every(self) -> int:
        """Return the number of steps between checkpoints."""
        return self.settings.checkpoint_every or math.ceil(self.total_steps / 10)

    def indices(self, step: int) -> np.ndarray:
        """Return the indices of a step's samples, (batch_size,): a slice of the epoch's permutation."""
        epoch, position = divmod(step, self.steps_per_epoch)
        size = self.settings.batch_size
        steps = max(1, ORDER_BLOCK // size)
        block, row = divmod(position, steps)
        order = _order(self.num_samples, self.seed, epoch, block, steps * size)
        return order[row * size : (row + 1) * size].copy()  # copied, since a dataset may modify it

    def learning_rates(self, rate: float) -> dict[str, float]:
        """Return `rate` times the peak learning rates, by the name of their settings."""
        muon = {"matrix_learning_rate": rate * self.settings.matrix_learning_rate}
        return {"learning_rate": rate * self.settings.learning_rate} | (
            muon if self.settings.optimizer == "muon" else {}
        )

    def rate(self, step: int) -> float:
        """Return the fraction of the peak learning rates to use in a step, in [0, 1]."""
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
    """Return a block of the epoch's permutation, (size,). The last block may be shorter."""
    positions = np.arange(block * size, min((block + 1) * size, num_samples))
    return _permutation(num_samples, seed, epoch)(positions)


@lru_cache(maxsize=1)
def _permutation(num_samples: int, seed: int, epoch: int) -> Permutation:
    return Permutation(num_samples, seed, "order", epoch)
