"""The reference recipe and its data, and the training step of any recipe, which all sections time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from gentoolkit.devices import Placement, has_bf16
from gentoolkit.pipeline import Model
from gentoolkit.pipeline.work import plan_of, state_of
from gentoolkit.recipe import Recipe, load_recipe
from gentoolkit.registry import build
from gentoolkit.training.loop import training_step

CPU = torch.device("cpu")


def reference(*overrides: str) -> Recipe:
    """Return `recipes/dit_flow_reference.yaml` on the CPU, with overrides such as "train.batch_size=16"."""
    path = Path(__file__).parents[1] / "recipes" / "dit_flow_reference.yaml"
    return load_recipe(path, ["device=cpu", *overrides])


def precisions() -> tuple[str, ...]:
    """Return the precisions worth timing here, the quickest last: bf16 only where there are instructions for it."""
    return ("fp32", "bf16") if has_bf16(CPU) else ("fp32",)


def training_data() -> TensorDataset:
    """Return all of the reference's training samples, (2000, 4, 32, 32), and labels (2000,), as tensors."""
    recipe = reference()
    dataset = build(recipe.dataset, split="train", seed=recipe.seed)
    batch = dataset.batch(np.arange(len(dataset)))
    return TensorDataset(batch.x1, batch.condition)


def endless(loader: DataLoader[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, ...]]:
    """Yield batches, epoch after epoch."""
    while True:
        yield from loader


def step_of(recipe: Recipe, precision: str) -> Callable[[], None]:
    """Return one whole training step of a recipe, data and bookkeeping included, in "fp32" or "bf16"."""
    model = Model.build(recipe)
    placement = Placement(CPU, precision)
    state = state_of(model, placement)
    plan, pairs = plan_of(recipe, len(model.splits["train"])), model.pairs()
    state.weights.train()

    def step() -> None:
        training_step(state, pairs.of_step(plan, state.step, CPU), plan, placement)
        state.step += 1

    return step
