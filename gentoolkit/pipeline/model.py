"""The parts of a recipe, built: to be trained, or with trained weights to sample and to measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gentoolkit import evaluation
from gentoolkit.api import DataSpec, Labels
from gentoolkit.devices import choose_device, choose_precision, keep_freed_memory
from gentoolkit.errors import NonFiniteError, PluginError, UsageError, listing, raise_together
from gentoolkit.paths import Field
from gentoolkit.pipeline.blame import blame, blamed
from gentoolkit.pipeline.evaluate import evaluate_model, held_out_groups, reference_field
from gentoolkit.pipeline.memory import room_for_weights
from gentoolkit.protocols import Dataset, Objective, Sampler
from gentoolkit.randomness import forked
from gentoolkit.recipe import Recipe
from gentoolkit.sampling import Samples, generate, guided, sample_rows, source_noise
from gentoolkit.training import Checkpoint, load_weights


@dataclass(frozen=True)
class Model:
    """Backbone, objective and sampler of a recipe.

    Attributes:
        recipe: What it was built from.
        device: Where the backbone lies.
        backbone: The network.
        objective: What was, or will be, learned.
        sampler: How samples are drawn.
        step: How many steps the weights were trained for.
    """

    recipe: Recipe
    device: torch.device
    backbone: nn.Module
    objective: Objective
    sampler: Sampler
    step: int = 0

    @classmethod
    def build(cls, recipe: Recipe, copies: int = 1) -> Model:
        """Build the parts with keyed initial weights; the global RNG is left alone.

        On a CPU the process keeps the memory that it frees from then on; see `keep_freed_memory`.

        Args:
            recipe: Names the parts.
            copies: How many numbers there will be for each weight; see `copies_in_training`.

        Raises:
            PluginError: A factory raises, or the backbone is not an `nn.Module`.
            OutOfSpaceError: So many copies of the weights do not fit into the memory.
        """
        device = choose_device(recipe.device)
        if device.type == "cpu":
            keep_freed_memory()
        with blame(recipe, "building"):
            with forked(recipe.seed, "backbone initialization"), room_for_weights(device, copies):
                backbone = recipe.backbone.entry.build(recipe.backbone.config, recipe.spec)
            if not isinstance(backbone, nn.Module):
                raise PluginError(f"it is a {type(backbone).__name__}, not a torch.nn.Module", kind="backbone")
            with forked(recipe.seed, "objective initialization"):
                objective = recipe.objective.entry.build(recipe.objective.config)
            if isinstance(objective, nn.Module):
                objective = objective.to(device)
            sampler = recipe.sampler.entry.build(recipe.sampler.config)
            return cls(recipe, device, backbone.to(device), objective, sampler)

    def load(self, checkpoint: Checkpoint) -> Model:
        """Take the checkpoint's averaged weights, or the plain ones where it has no averages, and return the model.

        Raises:
            UsageError: They are not the weights of these parts.
        """
        tensors = checkpoint.tensors
        load_weights(self.modules(), tensors.get("ema") or tensors["weights"])
        return replace(self, step=checkpoint.step)

    def modules(self) -> nn.ModuleDict:
        """Return all that has weights: the backbone, and the objective where it is a module, by these names."""
        parts = {"backbone": self.backbone, "objective": self.objective}
        return nn.ModuleDict({name: part for name, part in parts.items() if isinstance(part, nn.Module)})

    @property
    def spec(self) -> DataSpec:
        """Return what the data is like."""
        return self.recipe.spec

    @property
    def sample_seed(self) -> int:
        """Return the seed of the noise of samples."""
        return self.recipe.seed if self.recipe.sample.seed is None else self.recipe.sample.seed

    def dataset(self, split: str) -> Dataset:
        """Return the data, split "train" or "held_out"."""
        with blame(self.recipe, "building"):
            built: Dataset = self.recipe.dataset.entry.build(self.recipe.dataset.config, split, self.recipe.seed)
        return built

    def field(self) -> Field:
        """Return the velocity field that the backbone stands for, in eval mode."""
        self.modules().eval()
        return self.objective.field(self.backbone)

    def sample(
        self,
        per_class: int | None = None,
        classes: Sequence[int] | None = None,
        seed: int | None = None,
        trajectory: bool = False,
        field: Field | None = None,
    ) -> Samples:
        """Draw samples.

        Args:
            per_class: How many of each class (in all, where there are no classes); the recipe's by default.
            classes: Labels; the recipe's by default. Sample i has the label classes[i mod len(classes)].
            seed: Of the noise; the recipe's by default.
            trajectory: Whether to keep every state on the way.
            field: The velocity; the model's own, guided, by default.

        Raises:
            UsageError: There is no such class, or nothing to draw.
        """
        settings = self.recipe.sample
        seed = self.sample_seed if seed is None else seed
        count = settings.per_class if per_class is None else per_class
        if count < 1:
            raise UsageError(f"per_class is {count}; draw at least 1 sample")
        labels = self._labels(classes if classes is not None else settings.classes)
        rows = sample_rows(np.tile(labels or [0], count))
        with blame(self.recipe, "sampling"):
            x0, condition = self._start(rows, labels, seed)
        return self.draw(x0, condition, rows, seed, trajectory=trajectory, field=field)

    def draw(
        self,
        x0: Tensor,
        condition: Tensor | None,
        rows: np.ndarray,
        seed: int,
        *,
        trajectory: bool = False,
        field: Field | None = None,
    ) -> Samples:
        """Carry x0 to samples as `sample` does; `seed` and `rows` key the noise of a stochastic sampler."""
        settings = self.recipe.sample
        with blame(self.recipe, "sampling"):
            return generate(
                field or guided(self.field(), settings.guidance, self.spec.condition),
                self.sampler,
                x0,
                condition,
                seed=seed,
                rows=rows,
                batch_size=settings.batch_size,
                device=self.device,
                precision=choose_precision(settings.precision, self.device),
                trajectory=trajectory,
            )

    def _labels(self, classes: Sequence[int] | None) -> list[int]:
        if not isinstance(self.spec.condition, Labels):
            if classes is not None:
                raise UsageError(f"the data has no classes, so there is no class {listing(classes)}; leave them out")
            return []
        known = range(self.spec.condition.num_classes)
        if classes is None:
            return list(known)
        if unknown := set(classes) - set(known):
            raise UsageError(f"there is no class {listing(unknown)}; the classes are {listing(known)}")
        if not classes or len(set(classes)) < len(classes):
            raise UsageError(f"classes is {list(classes)}; name at least one, and each once")
        return list(classes)

    def _start(self, rows: np.ndarray, labels: list[int], seed: int) -> tuple[Tensor, Tensor | None]:
        """Return x0 and the conditions; pairs and vectors come from the held-out data."""
        per_class = len(rows) // max(1, len(labels))
        if labels and not self.spec.paired:
            return source_noise(seed, rows, self.spec.shape), torch.tensor(labels).repeat(per_class)
        if self.spec.condition is None and not self.spec.paired:
            return source_noise(seed, rows, self.spec.shape), None
        held_out = self.dataset("held_out")
        groups = evaluation.group_by_class(held_out, per_class, labels or None, setting="sample.per_class")
        picked = torch.stack([torch.from_numpy(rows) for rows in groups.values()], dim=1).flatten()
        batch = held_out.batch(picked.numpy())
        return source_noise(seed, rows, self.spec.shape) if batch.x0 is None else batch.x0, batch.condition

    def by_class(self, samples: Samples) -> dict[str, Tensor]:
        """Return the samples grouped as the evaluation groups them: label as text -> (N, *S)."""
        if not isinstance(self.spec.condition, Labels) or samples.condition is None:
            return {evaluation.ALL: samples.x1}
        labels = samples.condition
        return {str(label): samples.x1[labels == label] for label in labels.unique().tolist()}

    def validate(self, field: Field | None = None) -> evaluation.ValidationLoss:
        """Return the validation loss on the held-out data, in fp32: the model's, or that of another field.

        Raises:
            NonFiniteError: It is infinite or not a number.
        """
        recipe = self.recipe
        with blame(recipe, "validation"):
            validation = evaluation.validation_loss(
                field or self.field(),
                self.dataset("held_out"),
                recipe.evaluate.validation_samples,
                seed=recipe.seed,
                batch_size=recipe.sample.batch_size,
                device=self.device,
            )
            if not math.isfinite(validation.loss):
                raise NonFiniteError("the validation loss is not finite", kind="backbone")
            return validation

    @blamed("evaluating")
    def evaluate(self, drawn: Samples | None = None) -> dict[str, Any]:
        """Return validation loss and metrics as plain JSON data; see `gentoolkit.pipeline.evaluate`.

        Args:
            drawn: Samples of this model; those that the evaluation needs too are not drawn again.
        """
        return evaluate_model(self, drawn)

    def reference_field(self) -> evaluation.Reference | None:
        """Return the field that the evaluation holds the model against, where there is one for the data."""
        return reference_field(self)

    def check_held_out(self) -> None:
        """Raise now, all at once, what sampling and evaluating would raise after the training.

        Raises:
            UsageError: There are too few held-out samples; one line for each setting that needs more.
        """
        held_out, sample = self.dataset("held_out"), self.recipe.sample
        labels = self._labels(sample.classes)
        rows = sample_rows(np.tile(labels or [0], sample.per_class))
        raise_together(
            lambda: held_out_groups(self, held_out),
            lambda: evaluation.require_samples(held_out, self.recipe.evaluate.validation_samples),
            lambda: self._start(rows, labels, self.recipe.seed),
        )
