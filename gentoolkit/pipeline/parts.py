"""The components of a recipe as objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from torch import Tensor, device, nn

from gentoolkit.api import DataSpec, Labels
from gentoolkit.devices import Placement, choose_device, keep_freed_memory
from gentoolkit.errors import PluginError
from gentoolkit.fields import Field
from gentoolkit.pipeline.blame import blame
from gentoolkit.pipeline.encoded import Encoded, Encoder
from gentoolkit.pipeline.memory import room_for_weights
from gentoolkit.protocols import Codec, Coupling, Dataset, Guidance, Objective, Sampler, Source
from gentoolkit.randomness import forked
from gentoolkit.recipe import Recipe
from gentoolkit.registry import build
from gentoolkit.training import Checkpoint, Pairs, drawn, load_weights


class Splits:
    """The splits of the data, "train" and "held_out". Each is built once, when it is first needed."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._built: dict[str, Dataset] = {}

    def __getitem__(self, split: str) -> Dataset:
        if split not in self._built:
            with blame(self._recipe, "building"):
                self._built[split] = build(self._recipe.dataset, split=split, seed=self._recipe.seed)
        return self._built[split]


@dataclass(frozen=True)
class Parts:
    """The components of a recipe that make a model.

    Attributes:
        recipe: The recipe that they were built from.
        device: The device of the backbone.
        splits: The data.
        backbone: The network.
        objective: The training objective, which defines the field.
        sampler: The sampler.
        source: The source of x0.
        coupling: The coupling, or None if each sample is paired on its own.
        codec: The codec, or None if the data itself is modeled.
        guidance: What changes the field before sampling, in this order.
        step: Number of steps that the weights were trained for.
    """

    recipe: Recipe
    device: device
    splits: Splits
    backbone: nn.Module
    objective: Objective
    sampler: Sampler
    source: Source
    coupling: Coupling | None = None
    codec: Codec | None = None
    guidance: tuple[Guidance, ...] = ()
    step: int = 0

    @classmethod
    def build(cls, recipe: Recipe, copies: int = 1) -> Self:
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
            codec: Any = None if recipe.codec is None else build(recipe.codec, spec=recipe.data_spec)
            if isinstance(codec, nn.Module):
                codec = codec.to(device).eval().requires_grad_(False)
            coupling = build(recipe.coupling)
            return cls(
                recipe,
                device,
                Splits(recipe),
                backbone.to(device),
                objective,
                build(recipe.sampler),
                build(recipe.source, spec=recipe.spec, split="train", seed=recipe.seed),
                coupling if recipe.coupling.uses_batch else None,
                codec,
                tuple(map(build, recipe.guidance)),
            )

    def load(self, checkpoint: Checkpoint) -> Self:
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
    def classes(self) -> range | None:
        """Return the labels, or None for data without labels."""
        return range(self.spec.condition.num_classes) if isinstance(self.spec.condition, Labels) else None

    @property
    def encoder(self) -> Encoder | None:
        """Return the codec with its specs, or None without a codec."""
        return None if self.codec is None else Encoder(self.codec, self.recipe.data_spec, self.spec, self.device)

    def encoded(self, split: str) -> Dataset:
        """Return a split as it is modeled: encoded if there is a codec."""
        dataset = self.splits[split]
        return dataset if self.encoder is None else Encoded(dataset, self.encoder)

    def pairs(self) -> Pairs:
        """Return the pairs (x0, x1) of training."""
        return Pairs(self.encoded("train"), self.spec, self.source, self.coupling)

    def fit_codec(self) -> None:
        """Fit the codec to the training split, if there is one with something to estimate."""
        if self.encoder is not None:
            with blame(self.recipe, "fitting", self.recipe.codec):
                self.encoder.fit(self.splits["train"])

    def x0(self, seed: int, rows: np.ndarray) -> Tensor:
        """Return the x0 that samples start from, (len(rows), *S) on the CPU; `sample_rows` are the numbers of rows."""
        return drawn(self.source, self.spec, seed, "source", rows)

    def field(self) -> Field:
        """Return the learned field in fp32 without guidance, with the modules in eval mode."""
        self.modules().eval()
        return self.objective.field(Placement(self.device).network(self.backbone))

    def sampled_field(self, counting: Callable[[Callable[..., Tensor]], Callable[..., Tensor]] | None = None) -> Field:
        """Return the field that samples are drawn from: in the precision of sampling, with guidance.

        Args:
            counting: Wraps the network to count its evaluations.
        """
        self.modules().eval()
        network = Placement.choose(self.device, self.recipe.sample.precision).network(self.backbone)
        field = self.objective.field(counting(network) if counting else network)
        for guidance in self.guidance:
            field = guidance.guide(field, self.spec.condition)
        return field
