"""The components of a recipe as objects, to be trained, sampled and evaluated."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gentoolkit import evaluation
from gentoolkit.api import DataSpec, Labels
from gentoolkit.devices import choose_device, choose_precision, in_precision, keep_freed_memory
from gentoolkit.errors import NonFiniteError, PluginError, UsageError, listing, raise_together
from gentoolkit.fields import Field
from gentoolkit.pipeline.blame import blame, blamed
from gentoolkit.pipeline.encoded import Encoded, Encoder
from gentoolkit.pipeline.evaluate import evaluate_model, held_out_groups, reference_field
from gentoolkit.pipeline.memory import room_for_weights
from gentoolkit.protocols import Codec, Coupling, Dataset, Guidance, Objective, Sampler, Source
from gentoolkit.randomness import forked
from gentoolkit.recipe import Recipe
from gentoolkit.registry import build
from gentoolkit.sampling import Samples, generate, sample_rows
from gentoolkit.training import Checkpoint, Pairs, drawn, load_weights


class Calls:
    """Counts the samples that a network is evaluated for."""

    def __init__(self) -> None:
        self.samples = 0

    def counting(self, network: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return the network, which counts its samples here."""

        def call(x: Tensor, *arguments: Any, **options: Any) -> Tensor:
            self.samples += len(x)
            return network(x, *arguments, **options)

        return call


@dataclass(frozen=True)
class Model:
    """The components of a recipe that make a model.

    Attributes:
        recipe: The recipe that it was built from.
        device: The device of the backbone.
        backbone: The network.
        objective: The training objective, which defines the velocity field.
        sampler: The sampler.
        guidance: What changes the field before sampling, in this order.
        source: The source of x0.
        coupling: The coupling, or None if each sample is paired on its own.
        codec: The codec, or None if the data itself is modeled.
        step: Number of steps that the weights were trained for.
    """

    recipe: Recipe
    device: torch.device
    backbone: nn.Module
    objective: Objective
    sampler: Sampler
    source: Source
    coupling: Coupling | None = None
    codec: Codec | None = None
    guidance: tuple[Guidance, ...] = ()
    step: int = 0

    @classmethod
    def build(cls, recipe: Recipe, copies: int = 1) -> Model:
        """Build the components. Initial weights depend only on the recipe's seed; the global RNG is not used.

        On a CPU, the process keeps memory that it frees from then on; see `keep_freed_memory`.

        Args:
            recipe: The recipe.
            copies: How many numbers will be stored per weight; see `copies_in_training`.

        Raises:
            PluginError: A factory raises an exception, or the backbone is not an `nn.Module`.
            OutOfSpaceError: That many copies of the weights do not fit into memory.
        """
        device = choose_device(recipe.device)
        if device.type == "cpu":
            keep_freed_memory()
        with blame(recipe, "building"):
            with forked(recipe.seed, "backbone initialization"), room_for_weights(device, copies):
                backbone = build(recipe.backbone, spec=recipe.spec, needs=recipe.needs_of("backbone"))
            if not isinstance(backbone, nn.Module):
                raise PluginError(f"it is a {type(backbone).__name__}, not a torch.nn.Module", kind="backbone")
            with forked(recipe.seed, "objective initialization"):
                objective = build(recipe.objective)
            if isinstance(objective, nn.Module):
                objective = objective.to(device)
            sampler, guidance = build(recipe.sampler), tuple(map(build, recipe.guidance))
            codec: Any = None if recipe.codec is None else build(recipe.codec, spec=recipe.data_spec)
            if isinstance(codec, nn.Module):
                codec = codec.to(device).eval().requires_grad_(False)
            source = build(recipe.source, spec=recipe.spec, split="train", seed=recipe.seed)
            coupling = build(recipe.coupling)
            pairing = coupling if recipe.coupling.uses_batch else None
            return cls(recipe, device, backbone.to(device), objective, sampler, source, pairing, codec, guidance)

    def load(self, checkpoint: Checkpoint) -> Model:
        """Load the averaged weights of a checkpoint, or the plain ones if it has no averages, and return the model.

        The codec is loaded too.

        Raises:
            UsageError: The weights do not match these components.
        """
        tensors = checkpoint.tensors
        load_weights(self.modules(), tensors.get("ema") or tensors["weights"])
        self.load_codec(checkpoint)
        return replace(self, step=checkpoint.step)

    def load_codec(self, checkpoint: Checkpoint) -> None:
        """Load the state of the codec from a checkpoint. Raise UsageError if it does not match this codec."""
        codec = self.codec if isinstance(self.codec, nn.Module) else nn.Module()
        load_weights(codec, checkpoint.tensors.get("codec", {}))

    def modules(self) -> nn.ModuleDict:
        """Return the modules by name: the backbone, and the objective if it is a module."""
        parts = {"backbone": self.backbone, "objective": self.objective}
        return nn.ModuleDict({name: part for name, part in parts.items() if isinstance(part, nn.Module)})

    @property
    def spec(self) -> DataSpec:
        """Return the spec of what is modeled: of the encoded data if there is a codec."""
        return self.recipe.spec

    @property
    def encoder(self) -> Encoder | None:
        """Return the codec with its specs, or None without a codec."""
        return None if self.codec is None else Encoder(self.codec, self.recipe.data_spec, self.spec, self.device)

    @property
    def sample_seed(self) -> int:
        """Return the seed of the sampling noise."""
        return self.recipe.seed if self.recipe.sample.seed is None else self.recipe.sample.seed

    def dataset(self, split: str) -> Dataset:
        """Return a split of the data, "train" or "held_out"."""
        with blame(self.recipe, "building"):
            built: Dataset = build(self.recipe.dataset, split=split, seed=self.recipe.seed)
        return built

    def encoded(self, dataset: Dataset) -> Dataset:
        """Return a split as it is modeled: encoded if there is a codec."""
        return dataset if self.encoder is None else Encoded(dataset, self.encoder)

    def pairs(self, train: Dataset) -> Pairs:
        """Return the pairs (x0, x1) of training, for the training split."""
        return Pairs(self.encoded(train), self.spec, self.source, self.coupling)

    def fit_codec(self, train: Dataset) -> None:
        """Fit the codec to the training split, if there is one with something to estimate."""
        if self.encoder is not None:
            with blame(self.recipe, "fitting", self.recipe.codec):
                self.encoder.fit(train)

    def x0(self, seed: int, rows: np.ndarray) -> Tensor:
        """Return the x0 that samples start from, (len(rows), *S) on the CPU; `sample_rows` are the numbers of rows."""
        return drawn(self.source, self.spec, seed, "source", rows)

    def field(self, precision: str = "fp32") -> Field:
        """Return the learned field without guidance, with the modules in eval mode and the backbone in a precision."""
        self.modules().eval()
        return self.objective.field(in_precision(self.backbone, self.device, precision))

    def sampled_field(self, calls: Calls | None = None) -> Field:
        """Return the field that samples are drawn from: in the precision of sampling, with guidance.

        Args:
            calls: Counts the evaluations of the network.
        """
        self.modules().eval()
        network = in_precision(self.backbone, self.device, choose_precision(self.recipe.sample.precision, self.device))
        field = self.objective.field(calls.counting(network) if calls else network)
        for guidance in self.guidance:
            field = guidance.guide(field, self.spec.condition)
        return field

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
            per_class: Samples per class, or in total if there are no classes. Default: as in the recipe.
            classes: Class labels. Sample i has the label classes[i mod len(classes)]. Default: as in the recipe.
            seed: Seed of the noise. Default: as in the recipe.
            trajectory: Whether to keep all intermediate states.
            field: The field. Default: the model's own, with guidance.

        Raises:
            UsageError: A class does not exist, or there is nothing to sample.
        """
        settings = self.recipe.sample
        seed = self.sample_seed if seed is None else seed
        count = settings.per_class if per_class is None else per_class
        if count < 1:
            raise UsageError(f"per_class is {count}; expected at least 1")
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
        """Return samples that start from x0, decoded if there is a codec; see `sample`.

        `seed` and `rows` key the noise of a stochastic sampler.
        """
        settings, calls = self.recipe.sample, Calls()
        with blame(self.recipe, "sampling"):
            samples = generate(
                field or self.sampled_field(calls),
                self.sampler,
                x0,
                condition,
                seed=seed,
                rows=rows,
                batch_size=settings.batch_size,
                device=self.device,
                trajectory=trajectory,
            )
            if self.encoder is not None:
                samples = self.encoder.decoded(samples, settings.batch_size)
        return replace(samples, network_evaluations=calls.samples / len(x0))

    def _labels(self, classes: Sequence[int] | None) -> list[int]:
        if not isinstance(self.spec.condition, Labels):
            if classes is not None:
                raise UsageError(
                    f"the data has no classes, so there is no class {listing(classes)}; do not name classes"
                )
            return []
        known = range(self.spec.condition.num_classes)
        if classes is None:
            return list(known)
        if unknown := set(classes) - set(known):
            raise UsageError(f"there is no class {listing(unknown)}; the classes are {listing(known)}")
        if not classes or len(set(classes)) < len(classes):
            raise UsageError(f"classes is {list(classes)}; name at least one class, and each only once")
        return list(classes)

    def _start(self, rows: np.ndarray, labels: list[int], seed: int) -> tuple[Tensor, Tensor | None]:
        """Return x0 and the conditions. Pairs and vector conditions come from the held-out data."""
        per_class = len(rows) // max(1, len(labels))
        if labels and not self.spec.paired:
            return self.x0(seed, rows), torch.tensor(labels).repeat(per_class)
        if self.spec.condition is None and not self.spec.paired:
            return self.x0(seed, rows), None
        held_out = self.encoded(self.dataset("held_out"))
        groups = evaluation.group_by_class(held_out, per_class, labels or None, setting="sample.per_class")
        picked = torch.stack([torch.from_numpy(rows) for rows in groups.values()], dim=1).flatten()
        batch = held_out.batch(picked.numpy())
        return self.x0(seed, rows) if batch.x0 is None else batch.x0.cpu(), batch.condition

    def by_class(self, samples: Samples) -> dict[str, Tensor]:
        """Return the samples by class, as in the evaluation: label as text -> (N, *S)."""
        if not isinstance(self.spec.condition, Labels) or samples.condition is None:
            return {evaluation.ALL: samples.x1}
        labels = samples.condition
        return {str(label): samples.x1[labels == label] for label in labels.unique().tolist()}

    def validate(self, field: Field | None = None) -> evaluation.ValidationLoss:
        """Return the validation loss of the model or of another field on held-out data, computed in fp32.

        Raises:
            NonFiniteError: The loss is infinite or NaN.
        """
        recipe = self.recipe
        with blame(recipe, "validation"):
            validation = evaluation.validation_loss(
                field or self.field(),
                self.encoded(self.dataset("held_out")),
                recipe.evaluate.validation_samples,
                source=self.source,
                coupling=self.coupling,
                coupled_size=recipe.train.batch_size,
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
            drawn: Samples of this model, which the evaluation reuses where it can.
        """
        return evaluate_model(self, drawn)

    def reference_field(self) -> evaluation.Reference | None:
        """Return the reference field of the evaluation, or None if there is none for the data."""
        return reference_field(self)

    def check_held_out(self) -> None:
        """Check before training that there is enough held-out data for sampling and evaluation.

        Raises:
            UsageError: There are too few held-out samples. The message has a line for each setting that needs more.
        """
        held_out, sample = self.dataset("held_out"), self.recipe.sample
        labels = self._labels(sample.classes)
        rows = sample_rows(np.tile(labels or [0], sample.per_class))
        raise_together(
            lambda: held_out_groups(self, held_out),
            lambda: evaluation.require_samples(held_out, self.recipe.evaluate.validation_samples),
            lambda: self._start(rows, labels, self.recipe.seed),
        )
