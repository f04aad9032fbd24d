"""The parts of a recipe, built: to be trained, or with trained weights to sample and to measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gentoolkit import evaluation
from gentoolkit.api import DataSpec, Labels
from gentoolkit.devices import choose_device, choose_precision, keep_freed_memory
from gentoolkit.errors import UsageError, listing
from gentoolkit.paths import Field
from gentoolkit.pipeline.evaluate import evaluate_model, held_out_groups, reference_field
from gentoolkit.protocols import Dataset, Objective, Sampler
from gentoolkit.randomness import forked
from gentoolkit.recipe import Recipe
from gentoolkit.sampling import Samples, generate, guided, source_noise
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
    def build(cls, recipe: Recipe) -> Model:
        """Build the parts with keyed initial weights; the global RNG is left alone.

        On a CPU the process keeps the memory that it frees from then on; see `keep_freed_memory`.
        """
        device = choose_device(recipe.device)
        if device.type == "cpu":
            keep_freed_memory()
        with forked(recipe.seed, "backbone initialisation"):
            backbone = recipe.backbone.entry.build(recipe.backbone.config, recipe.spec)
        with forked(recipe.seed, "objective initialisation"):
            objective = recipe.objective.entry.build(recipe.objective.config)
        if isinstance(objective, nn.Module):
            objective = objective.to(device)
        return cls(recipe, device, backbone.to(device), objective, recipe.sampler.entry.build(recipe.sampler.config))

    def load(self, checkpoint: Checkpoint) -> Model:
        """Take the checkpoint's averaged weights, or the plain ones where it has no averages, and return the model.

        Raises:
            GentoolError: They are not the weights of these parts.
        """
        parts = {"backbone": self.backbone}
        if isinstance(self.objective, nn.Module):
            parts["objective"] = self.objective
        tensors = checkpoint.tensors
        load_weights(nn.ModuleDict(parts), tensors.get("ema") or tensors["weights"])
        return replace(self, step=checkpoint.step)

    @property
    def spec(self) -> DataSpec:
        """Return what the data is like."""
        return self.recipe.spec

    def dataset(self, split: str) -> Dataset:
        """Return the data, split "train" or "held_out"."""
        built: Dataset = self.recipe.dataset.entry.build(self.recipe.dataset.config, split, self.recipe.seed)
        return built

    def field(self) -> Field:
        """Return the velocity field that the backbone stands for, in eval mode."""
        for part in (self.backbone, self.objective):
            if isinstance(part, nn.Module):
                part.eval()
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
        seed = next(given for given in (seed, settings.seed, self.recipe.seed) if given is not None)
        count = settings.per_class if per_class is None else per_class
        if count < 1:
            raise UsageError(f"per_class is {count}; draw at least 1 sample")
        labels = self._labels(classes if classes is not None else settings.classes)
        count *= max(1, len(labels))
        return self.draw(*self._start(count, labels, seed), seed, trajectory=trajectory, field=field)

    def draw(
        self, x0: Tensor, condition: Tensor | None, seed: int, *, trajectory: bool = False, field: Field | None = None
    ) -> Samples:
        """Carry x0 to samples as `sample` does; `seed` keys the noise of a stochastic sampler."""
        settings = self.recipe.sample
        return generate(
            field or guided(self.field(), settings.guidance, self.spec.condition),
            self.sampler,
            x0,
            condition,
            seed=seed,
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

    def _start(self, count: int, labels: list[int], seed: int) -> tuple[Tensor, Tensor | None]:
        """Return x0 and the conditions; pairs and vectors come from the held-out data."""
        if labels and not self.spec.paired:
            return source_noise(seed, count, self.spec.shape), torch.tensor(labels).repeat(count // len(labels))
        if self.spec.condition is None and not self.spec.paired:
            return source_noise(seed, count, self.spec.shape), None
        held_out = self.dataset("held_out")
        per_class = count // max(1, len(labels))
        groups = evaluation.group_by_class(held_out, per_class, labels or None, setting="sample.per_class")
        picked = torch.stack([torch.from_numpy(rows) for rows in groups.values()], dim=1).flatten()
        batch = held_out.batch(picked.numpy())
        return source_noise(seed, count, self.spec.shape) if batch.x0 is None else batch.x0, batch.condition

    def by_class(self, samples: Samples) -> dict[str, Tensor]:
        """Return the samples grouped as the evaluation groups them: label as text -> (N, *S)."""
        if not isinstance(self.spec.condition, Labels) or samples.condition is None:
            return {evaluation.ALL: samples.x1}
        labels = samples.condition
        return {str(label): samples.x1[labels == label] for label in labels.unique().tolist()}

    def validate(self, field: Field | None = None) -> evaluation.ValidationLoss:
        """Return the validation loss on the held-out data, in fp32: the model's, or that of another field."""
        recipe = self.recipe
        return evaluation.validation_loss(
            field or self.field(),
            self.dataset("held_out"),
            recipe.evaluate.validation_samples,
            seed=recipe.seed,
            batch_size=recipe.sample.batch_size,
            device=self.device,
        )

    def evaluate(self) -> dict[str, Any]:
        """Return validation loss and metrics as plain JSON data; see `gentoolkit.pipeline.evaluate`."""
        return evaluate_model(self)

    def reference_field(self) -> evaluation.Reference | None:
        """Return the field that the evaluation holds the model against, where there is one for the data."""
        return reference_field(self)

    def check_held_out(self) -> None:
        """Raise now what sampling and measuring would raise after the training: too few held-out samples."""
        held_out, sample = self.dataset("held_out"), self.recipe.sample
        held_out_groups(self, held_out)
        evaluation.require_samples(held_out, self.recipe.evaluate.validation_samples)
        labels = self._labels(sample.classes)
        self._start(sample.per_class * max(1, len(labels)), labels, self.recipe.seed)
