"""The schedules as functions of the step."""

from __future__ import annotations

import math

from . import ConstantConfig, DecayConfig


class Constant:
    """A linear warm-up, then 1."""

    def __init__(self, config: ConstantConfig) -> None:
        self.warmup_steps = config.warmup_steps

    def fraction(self, step: int, total_steps: int, steps_per_epoch: int) -> float:
        """Return the fraction of the peak learning rate."""
        return min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0


class _Decay(Constant):
    """A linear warm-up, then a function of the progress of the run."""

    def __init__(self, config: DecayConfig) -> None:
        super().__init__(config)
        self.per_epoch = config.per_epoch

    def fraction(self, step: int, total_steps: int, steps_per_epoch: int) -> float:
        """Return the fraction of the peak learning rate."""
        if step < self.warmup_steps:
            return super().fraction(step, total_steps, steps_per_epoch)
        if self.per_epoch:
            return self.falling((step // steps_per_epoch) / math.ceil(total_steps / steps_per_epoch))
        return self.falling((step - self.warmup_steps) / (total_steps - self.warmup_steps))

    def falling(self, progress: float) -> float:
        """Return the fraction for a progress in [0, 1]: from 1 to 0."""
        raise NotImplementedError


class Cosine(_Decay):
    """0.5 (1 + cos(pi progress)) after the warm-up (Loshchilov and Hutter 2017, arXiv:1608.03983, Eq. 5)."""

    def falling(self, progress: float) -> float:
        """Return the fraction for a progress in [0, 1]."""
        return 0.5 * (1 + math.cos(math.pi * progress))


class Linear(_Decay):
    """1 - progress after the warm-up."""

    def falling(self, progress: float) -> float:
        """Return the fraction for a progress in [0, 1]."""
        return 1 - progress
