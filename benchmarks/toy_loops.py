"""Flow matching on the 2-D toy: our training loop, a plain one, and the loops of flow_matching and torchcfm.

The same network, points, batch, optimizer and learning rate for all; a batch is drawn from the points by index.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from benchmarks.peers import installed
from benchmarks.reference import CPU
from benchmarks.timing import Row, interleaved, ratio
from benchmarks.toy import BATCH_SIZE, toy_model
from gentoolkit.devices import Placement
from gentoolkit.pipeline.work import plan_of, state_of
from gentoolkit.records import Record
from gentoolkit.training import TrainingState, train

SECTION = "2-D toy"
LEARNING_RATE = 1e-3

#: (network, x1) -> loss
Loss = Callable[[nn.Module, Tensor], Tensor]


def measure(quick: bool) -> list[Row]:
    """Return the times of blocks of steps, each loop's over ours."""
    steps, rounds = (100, 5) if quick else (500, 11)
    losses: dict[str, Loss] = {"plain": plain_loss}
    losses |= {name: make() for name, make in installed(LOSSES).items()}
    contenders: dict[str, Callable[[], object]] = {name: bare_loop(loss, steps) for name, loss in losses.items()}
    contenders["ours"] = our_loop(steps)
    times = interleaved(contenders, rounds)
    note = f"ours: {1000 * median(times['ours']) / steps:.2f} ms a step"
    return [ratio(SECTION, f"{name} / ours", times[name], times["ours"], note) for name in losses]


class Silence:
    """A listener that asks the loop to leave after some steps, and keeps nothing."""

    def __init__(self, steps: int) -> None:
        self.steps, self.heard = steps, 0

    def should_stop(self) -> bool:
        self.heard += 1
        return self.heard % self.steps == 0

    def record(self, record: Record) -> None:
        pass

    def validate(self, state: TrainingState) -> None:
        pass

    def checkpoint(self, state: TrainingState) -> None:
        pass


def our_loop(steps: int) -> Callable[[], object]:
    """Return `steps` steps of gentoolkit's loop, which also measures gradients and keeps losses for its log."""
    model = toy_model("train.clip_norm=null", "train.optimizer.weight_decay=0.01")
    placement = Placement(CPU)
    state, pairs = state_of(model, placement), model.pairs()
    plan, listener = plan_of(model.recipe, len(model.splits["train"])), Silence(steps)
    return lambda: train(state, pairs, plan, listener, placement)


def bare_loop(loss: Loss, steps: int) -> Callable[[], object]:
    """Return `steps` steps of the loop that both peers' examples write out."""
    model = toy_model()
    points = model.splits["train"].points  # type: ignore[attr-defined]
    optimizer = torch.optim.AdamW(model.backbone.parameters(), lr=LEARNING_RATE)

    def loop() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            x1 = points[torch.randint(len(points), (BATCH_SIZE,))]
            loss(model.backbone, x1).backward()
            optimizer.step()

    return loop


def plain_loss(network: nn.Module, x1: Tensor) -> Tensor:
    x0, t = torch.randn_like(x1), torch.rand(len(x1))
    x_t = x0 + t[:, None] * (x1 - x0)
    return (network(x_t, t) - (x1 - x0)).square().mean()


def flow_matching_loss() -> Loss:
    """Return the loss of flow_matching's 2-D example: AffineProbPath with CondOTScheduler."""
    from flow_matching.path import AffineProbPath
    from flow_matching.path.scheduler import CondOTScheduler

    path = AffineProbPath(scheduler=CondOTScheduler())

    def loss(network: nn.Module, x1: Tensor) -> Tensor:
        sample = path.sample(t=torch.rand(len(x1)), x_0=torch.randn_like(x1), x_1=x1)
        return (network(sample.x_t, sample.t) - sample.dx_t).square().mean()

    return loss


def torchcfm_loss() -> Loss:
    """Return the loss of torchcfm's 2-D example: ConditionalFlowMatcher with sigma 0."""
    from torchcfm import ConditionalFlowMatcher

    matcher = ConditionalFlowMatcher(sigma=0.0)

    def loss(network: nn.Module, x1: Tensor) -> Tensor:
        t, x_t, velocity = matcher.sample_location_and_conditional_flow(torch.randn_like(x1), x1)
        return (network(x_t, t) - velocity).square().mean()

    return loss


LOSSES = {"flow_matching": flow_matching_loss, "torchcfm": torchcfm_loss}
