"""The pairs (x0, x1) of training: x0 from the source, coupled with x1 over the global batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from gentoolkit.api import DataSpec
from gentoolkit.protocols import Batch, Coupling, Dataset, Source
from gentoolkit.randomness import AHEAD, BatchGenerator
from gentoolkit.training.plan import Plan
from gentoolkit.training.promises import check_batch, check_coupling, expect

#: The rows of a step's global batch that a micro-batch has, and its pairs.
MicroBatch = tuple[slice, Batch]


@dataclass
class Pairs:
    """The pairs of each step. They depend on the step and the row in its global batch, but not on the micro-batches.

    Attributes:
        dataset: The training split, encoded if there is a codec.
        spec: The spec of its samples.
        source: The source of x0. Data that comes in pairs has its own x0.
        coupling: Pairs x0 with x1 over the global batch. None keeps them as they are drawn, and each micro-batch then
            reads and draws only its own rows.
    """

    dataset: Dataset
    spec: DataSpec
    source: Source
    coupling: Coupling | None = None
    # The x0 of several steps, with the first step: one call covers small steps, as in `BatchGenerator`.
    _ahead: tuple[int, Tensor] | None = field(default=None, init=False, repr=False)

    def of_step(self, plan: Plan, step: int, device: torch.device) -> Iterator[MicroBatch]:
        """Yield the rows of each micro-batch of a step, and its pairs on the device.

        Raises:
            PluginError: A component returns a wrong type, shape or dtype.
        """
        settings, indices = plan.settings, plan.indices(step)
        size = settings.batch_size // settings.accumulation
        parts = [slice(start, start + size) for start in range(0, settings.batch_size, size)]
        read = (self._read(indices[rows], rows, plan, step, device) for rows in parts)
        if self.coupling is not None and not self.spec.paired:
            whole = coupled(self.coupling, joined(list(read)))
            read = (whole.map(lambda part, rows=rows: part[rows]) for rows in parts)  # type: ignore[misc]
        for part, batch in zip(parts, read, strict=True):
            draws = BatchGenerator(plan.seed, "condition dropout", step, settings.batch_size, part, device)
            yield part, drop_conditions(batch, self.spec, settings.condition_dropout, draws)

    def group_size(self, plan: Plan) -> int:
        """Return the number of micro-batches to prepare at a time: several if they are small."""
        size = plan.settings.batch_size // plan.settings.accumulation
        return min(16, max(1, AHEAD // (size * math.prod(self.spec.shape))))

    def _read(self, indices: np.ndarray, rows: slice, plan: Plan, step: int, device: torch.device) -> Batch:
        """Return samples and the x0 of some rows of a step, as they are drawn."""
        batch = self.dataset.batch(indices)
        check_batch(batch, self.spec, len(indices))
        x0 = self._x0(rows, plan, step) if batch.x0 is None else batch.x0
        return Batch(batch.x1, batch.condition, x0).map(lambda part: part.to(device))

    def _x0(self, rows: slice, plan: Plan, step: int) -> Tensor:
        """Return rows of the step's x0. Row i of step k is row k · batch_size + i of the run."""
        size = plan.settings.batch_size
        steps = AHEAD // (size * math.prod(self.spec.shape))
        if steps < 2:
            return drawn(self.source, self.spec, plan.seed, "training", step * size + np.arange(rows.start, rows.stop))
        first = step // steps * steps
        if self._ahead is None or self._ahead[0] != first:
            numbers = first * size + np.arange(steps * size)
            self._ahead = first, drawn(self.source, self.spec, plan.seed, "training", numbers)
        start = (step - first) * size
        return self._ahead[1][start + rows.start : start + rows.stop].clone()  # an objective may modify it


def drawn(source: Source, spec: DataSpec, seed: int, purpose: str, rows: np.ndarray) -> Tensor:
    """Return x0 of some rows; see `Source.draw`.

    Raises:
        PluginError: The source returns a wrong type, shape or dtype.
    """
    x0 = source.draw(seed, purpose, rows)
    expect("source", "draw(...)", x0, ((len(rows), *spec.shape), torch.float32))
    return x0


def joined(batches: list[Batch]) -> Batch:
    """Return several batches of pairs as one."""
    conditions = [batch.condition for batch in batches if batch.condition is not None]
    x0 = torch.cat([batch.x0 for batch in batches if batch.x0 is not None])
    return Batch(torch.cat([batch.x1 for batch in batches]), torch.cat(conditions) if conditions else None, x0)


def coupled(coupling: Coupling, batch: Batch) -> Batch:
    """Return a batch with its x0 in the order that the coupling chooses; each x1 keeps its condition.

    Raises:
        PluginError: The coupling does not return a permutation.
    """
    assert batch.x0 is not None
    rows = coupling.couple(batch.x0, batch.x1, batch.condition)
    check_coupling(rows, len(batch))
    return Batch(batch.x1, batch.condition, batch.x0[rows])


def drop_conditions(batch: Batch, spec: DataSpec, probability: float, draws: BatchGenerator) -> Batch:
    """Replace each condition with the null condition with the given probability (arXiv:2207.12598, Alg. 1)."""
    if probability == 0 or spec.condition is None or batch.condition is None:
        return batch
    dropped = draws.uniform() < probability
    dropped = dropped.reshape(-1, *(1,) * (batch.condition.ndim - 1))
    condition = torch.where(dropped, spec.condition.null_like(batch.condition), batch.condition)
    return Batch(batch.x1, condition, batch.x0)
