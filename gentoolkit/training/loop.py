"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from gentoolkit.devices import Placement
from gentoolkit.errors import NonFiniteError
from gentoolkit.protocols import TrainingContext
from gentoolkit.randomness import BatchGenerator, forked
from gentoolkit.records import Epoch, Record, Step
from gentoolkit.training.pairs import MicroBatch, Pairs
from gentoolkit.training.plan import Plan
from gentoolkit.training.prefetch import prefetched
from gentoolkit.training.promises import check_record
from gentoolkit.training.state import CURE, EpochTotals, TrainingState, sums_by_time

#: Seconds between fetches of the losses from the device. Each fetch waits for the device.
FETCH_SECONDS = 0.5


class Listener(Protocol):
    """Callbacks of the training loop. Steps are numbered by the optimizer steps taken so far."""

    def record(self, record: Record) -> None:
        """Called with a `Step` or `Epoch` record."""

    def validate(self, state: TrainingState) -> None:
        """Called when it is time to validate the model."""

    def checkpoint(self, state: TrainingState) -> None:
        """Called when it is time to save a checkpoint."""

    def should_stop(self) -> bool:
        """Return whether to save a checkpoint and stop."""


@dataclass(frozen=True)
class StepResult:
    """The results of a step on the device, to be fetched later."""

    step: int
    losses: list[Tensor]  # one tensor per micro-batch, (B / accumulation,)
    velocity_errors: list[Tensor]
    times: list[Tensor]
    gradient_norm: Tensor
    rate: float


def train(
    state: TrainingState,
    pairs: Pairs,
    plan: Plan,
    listener: Listener,
    placement: Placement,
) -> bool:
    """Train from `state.step` to the last step of the plan.

    Args:
        state: The training state, updated in place.
        pairs: The pairs to train on.
        plan: Steps, data order and learning rates.
        listener: Receives records and decides when to stop.
        placement: The device of `state`, and the precision.

    Returns:
        True if training is complete, False if the listener stopped it (after a checkpoint).

    Raises:
        NonFiniteError: A loss, gradient or weight is infinite or NaN. The last checkpoint is from an earlier step.
    """
    log = _Log(state, plan, listener)
    state.weights.train()
    steps = (pairs.of_step(plan, step, placement.device) for step in range(state.step, plan.total_steps))
    with prefetched(chain.from_iterable(steps), pairs.group_size(plan)) as batches:
        while state.step < plan.total_steps:
            log.add(training_step(state, islice(batches, plan.settings.accumulation), plan, placement))
            state.step += 1
            last, stop = state.step == plan.total_steps, listener.should_stop()
            validates = bool(plan.settings.validate_every) and state.step % (plan.settings.validate_every or 1) == 0
            saves = last or stop or state.step % plan.checkpoint_every == 0
            if saves or validates or state.step % plan.steps_per_epoch == 0:
                log.fetch()
            if validates and not last:
                listener.validate(state)
                state.weights.train()
            if saves:
                state.require_finite()
                listener.checkpoint(state)
            if stop:
                return False
    return True


def training_step(state: TrainingState, batches: Iterable[MicroBatch], plan: Plan, placement: Placement) -> StepResult:
    """Take one optimizer step, over the step's micro-batches on the device, and return its losses."""
    settings, step = plan.settings, state.step
    losses, errors, times = list[Tensor](), list[Tensor](), list[Tensor]()
    for rows, batch in batches:
        draws = BatchGenerator(plan.seed, "objective", step, settings.batch_size, rows, placement.device)
        ema = None if state.ema is None else state.ema["backbone"]
        context = TrainingContext(draws, step, plan.total_steps, ema)
        with forked(plan.seed, "dropout", step, rows.start), placement.autocast():
            record = state.objective.loss(state.backbone, batch, context)
        check_record(record, len(batch))
        (record.loss.sum() / settings.batch_size).backward()
        losses.append(record.loss.detach())
        errors.append(losses[-1] if record.velocity_error is None else record.velocity_error.detach())
        times.append(record.t)
    norm = clip_grad_norm_(state.parameters, math.inf if settings.clip_norm is None else settings.clip_norm)
    rate = plan.rate(step)
    state.optimizer.step(rate)
    for parameter in state.parameters:
        parameter.grad = None
    state.update_ema()
    return StepResult(step + 1, losses, errors, times, norm, rate)


class _Log:
    """Collects the losses of steps on the device and fetches them together, since each fetch waits for the device."""

    def __init__(self, state: TrainingState, plan: Plan, listener: Listener) -> None:
        self.state, self.plan, self.listener = state, plan, listener
        self.pending: list[StepResult] = []
        self.fetched_at = time.monotonic()
        self.path = state.objective.field(state.backbone).path.name

    def add(self, result: StepResult) -> None:
        self.pending.append(result)
        if time.monotonic() - self.fetched_at > FETCH_SECONDS:
            self.fetch()

    def fetch(self) -> None:
        """Record the pending steps. Raise NonFiniteError at the first with a non-finite loss or gradient."""
        if not self.pending:
            return
        parts = [
            part
            for result in self.pending
            for part in (*result.losses, *result.velocity_errors, *result.times, result.gradient_norm[None])
        ]
        read = torch.cat(parts).cpu().double().view(len(self.pending), -1)  # the only wait for the device
        samples = read[:, :-1].unflatten(1, (3, -1)).contiguous()  # loss, velocity error and t: (S, 3, B)
        # Computed for each step separately and in order, so records do not depend on which steps are fetched together.
        means, sums, counts = samples.numpy().mean(axis=2), *sums_by_time(samples[:, 1], samples[:, 2])
        steps = zip(self.pending, means.tolist(), read[:, -1].tolist(), sums.tolist(), counts.tolist(), strict=True)
        for result, (loss, error, _), norm, error_by_t, count_by_t in steps:
            if not (math.isfinite(loss) and math.isfinite(norm)):
                kind = "backbone" if math.isfinite(loss) else "objective"
                raise NonFiniteError(f"step {result.step}: loss {loss}, gradient norm {norm}; {CURE}", kind=kind)
            self.state.totals.add(loss, error_by_t, count_by_t)
            self._record(result, loss=loss, velocity_error=error, gradient_norm=norm)
        self.pending.clear()
        self.fetched_at = time.monotonic()

    def _record(self, result: StepResult, **means: Any) -> None:
        plan, step = self.plan, result.step
        if step % plan.settings.log_every == 0:
            rates: dict[str, Any] = self.state.optimizer.learning_rates(result.rate)
            self.listener.record(Step(step=step, path=self.path, **means, **rates))
        if step % plan.steps_per_epoch == 0 or step == plan.total_steps:
            epoch = math.ceil(step / plan.steps_per_epoch)
            self.listener.record(Epoch(epoch=epoch, step=step, path=self.path, **self.state.totals.means()))
            self.state.totals = EpochTotals()
