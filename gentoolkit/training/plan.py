"""The plan of a training run: steps, epochs, data order and learning rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gentoolkit.errors import PluginError, UsageError, raise_together
from gentoolkit.protocols import Schedule
from gentoolkit.randomness import Permutation
from gentoolkit.settings import TrainSettings

#: Number of samples whose order is computed at once, since numpy's overhead per call is large for small batches.
ORDER_BLOCK = 16_384


@dataclass(frozen=True)
class Plan:
    """The plan of a training run. All of it depends only on the step, so checkpoints need not contain it.

    Raises:
        UsageError: The data has fewer samples than a batch, or the run is too short for the schedule.
    """

    settings: TrainSettings
    num_samples: int
    seed: int
    schedule: Schedule

    def __post_init__(self) -> None:
        raise_together(self._check_batch_size, self._check_length)

    def _check_batch_size(self) -> None:
        if self.num_samples < self.settings.batch_size:
            raise UsageError(
                f"train.batch_size {self.settings.batch_size} is more than the {self.num_samples} training samples; "
                "lower it or use more data"
            )

    def _check_length(self) -> None:
        if self.settings.epochs and not self.steps_per_epoch:
            return  # the number of steps is unknown
        problems = self.settings.schedule.check_length(self.total_steps)
        if lines := [f"train.schedule.{field}: {message}" for field, message in problems]:
            raise UsageError("\n".join(lines))

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

    def rate(self, step: int) -> float:
        """Return the fraction of the peak learning rates to use in a step, in [0, 1].

        Raises:
            PluginError: The schedule returns anything else.
        """
        rate = self.schedule.fraction(step, self.total_steps, self.steps_per_epoch)
        if not 0 <= rate <= 1:
            raise PluginError(f"the fraction at step {step} is {rate}; expected 0 to 1", kind="schedule")
        return rate


@lru_cache(maxsize=2)
def _order(num_samples: int, seed: int, epoch: int, block: int, size: int) -> np.ndarray:
    """Return a block of the epoch's permutation, (size,). The last block may be shorter."""
    positions = np.arange(block * size, min((block + 1) * size, num_samples))
    return _permutation(num_samples, seed, epoch)(positions)


@lru_cache(maxsize=1)
def _permutation(num_samples: int, seed: int, epoch: int) -> Permutation:
    return Permutation(num_samples, seed, "order", epoch)
