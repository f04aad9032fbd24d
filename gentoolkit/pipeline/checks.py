"""Two samples through every part before the training, so that a plugin's fault is told by its name."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gentoolkit.api import Labels, Vectors
from gentoolkit.errors import PluginError
from gentoolkit.pipeline.model import Model
from gentoolkit.protocols import Batch, Dataset, LossRecord, TrainingContext
from gentoolkit.randomness import BatchGenerator, forked
from gentoolkit.recipe import Part

COUNT = 2


@torch.no_grad()
def check_parts(model: Model, data: Dataset) -> None:
    """Check what the training data, the backbone and the objective give against what they promise.

    Raises:
        PluginError: Something has another type, shape or dtype; the message names the component.
    """
    recipe, spec = model.recipe, model.spec
    batch = data.batch(np.arange(COUNT))
    conditions = {
        Labels: ((COUNT,), torch.int64),
        Vectors: ((COUNT, getattr(spec.condition, "dim", 0)), torch.float32),
        type(None): None,
    }
    shape = (COUNT, *spec.shape)
    _expect(recipe.dataset, "x1", batch.x1, (shape, torch.float32))
    _expect(recipe.dataset, "condition", batch.condition, conditions[type(spec.condition)])
    _expect(recipe.dataset, "x0", batch.x0, (shape, torch.float32) if spec.paired else None)
    batch = batch.map(lambda part: part.to(model.device))
    t = torch.full((COUNT,), 0.5, device=model.device)
    model.field()  # eval mode: a trial must not move running averages
    with forked(recipe.seed, "trial"):
        output = model.backbone(batch.x1, t, batch.condition)
        _expect(recipe.backbone, "output", output, (shape, torch.float32))
        _check_loss(model, batch)


def _check_loss(model: Model, batch: Batch) -> None:
    part = model.recipe.objective
    # An average begins as the weights themselves.
    teacher = model.backbone if model.recipe.train.ema_decay else None
    generator = BatchGenerator(model.recipe.seed, "trial", 0, COUNT, device=model.device)
    context = TrainingContext(generator, ema_backbone=teacher)
    record = model.objective.loss(model.backbone, batch, context)
    if not isinstance(record, LossRecord):
        raise _fault(part, f"loss(...) gives a {type(record).__name__}, expected a LossRecord")
    for name in ("loss", "t"):
        _expect(part, name, getattr(record, name), ((COUNT,), torch.float32))


def _expect(part: Part, name: str, got: object, expected: tuple[tuple[int, ...], torch.dtype] | None) -> None:
    if expected is None:
        if got is not None:
            raise _fault(part, f"{name} is given, but its spec says that there is none")
        return
    shape, dtype = expected
    if not isinstance(got, Tensor):
        raise _fault(part, f"{name} is a {type(got).__name__}, expected a tensor {shape}")
    if tuple(got.shape) != shape or got.dtype != dtype:
        raise _fault(part, f"{name} is {tuple(got.shape)} {got.dtype}, expected {shape} {dtype}")


def _fault(part: Part, message: str) -> PluginError:
    where = f"{part.entry.kind} {part.type!r}"
    return PluginError(f"{where}: for a batch of {COUNT}, {message}; see: gentool check {part.entry.distribution}")
