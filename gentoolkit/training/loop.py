"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from gentoolkit.api import DataSpec
from gentoolkit.devices import autocast
from gentoolkit.errors import NonFiniteError
from gentoolkit.protocols import Batch, Dataset, LossRecord, TrainingContext
from gentoolkit.randomness import BatchGenerator, forked
from gentoolkit.training.plan import Plan
from gentoolkit.training.state import CURE, EpochTotals, TrainingState

#: Seconds between fetches of the losses from the device; fetching waits for it.
FETCH_SECONDS = 0.5


class Listener(Protocol):
    """What the loop tells the outside; the step is the number of optimiser steps taken so far."""

    def record(self, event: str, values: dict[str, Any]) -> None:
        """Hear a "step" or "epoch" record."""

    def validate(self, state: TrainingState) -> None:
        """Measure the model now."""

    def checkpoint(self, state: TrainingState) -> None:
        """Save the state now."""

    def should_stop(self) -> bool:
        """Return whether to save and leave."""


@dataclass(frozen=True)
class StepResult:
    """What a step leaves on the device, to be fetched later."""

    step: int
    loss: Tensor  # (B,)
    velocity_error: Tensor  # (B,)
    t: Tensor  # (B,)
    gradient_norm: Tensor
    rate: float


def train(
    state: TrainingState,
    dataset: Dataset,
    spec: DataSpec,
    plan: Plan,
    listener: Listener,
    device: torch.device,
    precision: str,
) -> bool:
    """Train from `state.step` to the plan's last step.

    Args:
        state: Changed in place.
        dataset: The training split.
        spec: What it hands out.
        plan: Steps, order and learning rates.
        listener: Hears what happens.
        device: Where `state` lies.
        precision: "fp32" or "bf16".

    Returns:
        False where the listener stopped it, after a checkpoint; else True.

    Raises:
        NonFiniteError: A loss, gradient or weight is infinite or not a number; the last checkpoint is from before.
    """
    log = _Log(state, plan, listener)
    state.weights.train()
    while state.step < plan.total_steps:
        log.add(training_step(state, dataset, spec, plan, device, precision))
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


def training_step(
    state: TrainingState, dataset: Dataset, spec: DataSpec, plan: Plan, device: torch.device, precision: str
) -> StepResult:
    """Take one optimiser step, over `accumulation` micro-batches, and return its losses."""
    settings, step = plan.settings, state.step
    indices = plan.indices(step)
    size = settings.batch_size // settings.accumulation
    records: list[LossRecord] = []
    for start in range(0, settings.batch_size, size):
        rows = slice(start, start + size)

        def draws(purpose: str, rows: slice = rows) -> BatchGenerator:
            return BatchGenerator(plan.seed, purpose, step, settings.batch_size, rows, device)

        batch = dataset.batch(indices[rows]).map(lambda part: part.to(device))
        batch = drop_conditions(batch, spec, settings.condition_dropout, draws)
        ema = None if state.ema is None else state.ema["backbone"]
        context = TrainingContext(draws("objective"), step, plan.total_steps, ema)
        with forked(plan.seed, "dropout", step, start), autocast(device, precision):
            record = state.objective.loss(state.backbone, batch, context)
        (record.loss.sum() / settings.batch_size).backward()
        records.append(record)
    norm = torch.nn.utils.clip_grad_norm_(state.parameters, settings.clip_norm or math.inf)
    rate = plan.rate(step)
    state.optimisers.step(rate)
    state.weights.zero_grad(set_to_none=True)
    state.update_ema()
    losses = [record.loss.detach() for record in records]
    errors = [r.loss.detach() if r.velocity_error is None else r.velocity_error.detach() for r in records]
    times = [record.t for record in records]
    return StepResult(step + 1, torch.cat(losses), torch.cat(errors), torch.cat(times), norm, rate)


def drop_conditions(batch: Batch, spec: DataSpec, probability: float, draws: Callable[[str], BatchGenerator]) -> Batch:
    """Replace each condition by the null condition with the given probability (arXiv:2207.12598, Alg. 1)."""
    if probability == 0 or spec.condition is None or batch.condition is None:
        return batch
    dropped = draws("condition dropout").uniform() < probability
    dropped = dropped.reshape(-1, *(1,) * (batch.condition.ndim - 1))
    condition = torch.where(dropped, spec.condition.null_like(batch.condition), batch.condition)
    return Batch(batch.x1, condition, batch.x0)


class _Log:
    """Keeps the losses of the last steps on the device and fetches them together: a fetch waits for the device."""

    def __init__(self, state: TrainingState, plan: Plan, listener: Listener) -> None:
        self.state, self.plan, self.listener = state, plan, listener
        self.pending: list[StepResult] = []
        self.fetched_at = time.monotonic()

    def add(self, result: StepResult) -> None:
        self.pending.append(result)
        if time.monotonic() - self.fetched_at > FETCH_SECONDS:
            self.fetch()

    def fetch(self) -> None:
        """Write the pending steps; raise NonFiniteError at the first whose loss or gradient is not finite."""
        for result in self.pending:
            loss, norm = result.loss.float().mean().item(), result.gradient_norm.item()
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise NonFiniteError(f"step {result.step}: loss {loss}, gradient norm {norm}; {CURE}")
            self.state.totals.add(loss, result.velocity_error.float().cpu(), result.t.cpu())
            if result.step % self.plan.settings.log_every == 0:
                error = result.velocity_error.float().mean().item()
                values = {"step": result.step, "loss": loss, "velocity_error": error, "gradient_norm": norm}
                self.listener.record("step", values | self.plan.learning_rates(result.rate))
            if result.step % self.plan.steps_per_epoch == 0 or result.step == self.plan.total_steps:
                epoch = math.ceil(result.step / self.plan.steps_per_epoch)
                self.listener.record("epoch", {"epoch": epoch, "step": result.step, **self.state.totals.means()})
                self.state.totals = EpochTotals()
        self.pending.clear()
        self.fetched_at = time.monotonic()
