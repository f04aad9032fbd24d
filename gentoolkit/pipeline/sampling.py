"""Samples of a model, by class or with the conditions of held-out data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gentoolkit.api import Labels
from gentoolkit.errors import UsageError, listing
from gentoolkit.evaluation import ALL, group_by_class
from gentoolkit.fields import Field
from gentoolkit.pipeline.blame import blame
from gentoolkit.pipeline.parts import Parts
from gentoolkit.sampling import Samples, generate, sample_rows


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


def sample(
    parts: Parts,
    per_class: int | None = None,
    classes: Sequence[int] | None = None,
    seed: int | None = None,
    *,
    trajectory: bool = False,
) -> Samples:
    """Draw samples.

    Args:
        parts: The model.
        per_class: Samples per class, or in total if there are no classes. Default: as in the recipe.
        classes: Class labels. Sample i has the label classes[i mod len(classes)]. Default: as in the recipe.
        seed: Seed of the noise. Default: as in the recipe.
        trajectory: Whether to keep all intermediate states.

    Raises:
        UsageError: A class does not exist, or there is nothing to sample.
    """
    settings = parts.recipe.sample
    seed = sample_seed(parts) if seed is None else seed
    count = settings.per_class if per_class is None else per_class
    if count < 1:
        raise UsageError(f"per_class is {count}; expected at least 1")
    rows, x0, condition = start(parts, count, settings.classes if classes is None else classes, seed)
    return draw(parts, x0, condition, rows, seed, trajectory=trajectory)


def sample_seed(parts: Parts) -> int:
    """Return the seed of the sampling noise."""
    return parts.recipe.seed if parts.recipe.sample.seed is None else parts.recipe.sample.seed


def start(
    parts: Parts, per_class: int, classes: Sequence[int] | None, seed: int
) -> tuple[np.ndarray, Tensor, Tensor | None]:
    """Return the rows, x0 and conditions of samples. Pairs and array conditions come from the held-out data.

    Array conditions repeat if there are fewer of them than samples.

    Raises:
        UsageError: A class does not exist, or there is too little held-out data.
    """
    labels, spec = chosen_labels(parts, classes), parts.spec
    rows = sample_rows(np.tile(labels or [0], per_class))
    with blame(parts.recipe, "sampling"):
        if not spec.paired and (labels or spec.condition is None):
            return rows, parts.x0(seed, rows), torch.tensor(labels).repeat(per_class) if labels else None
        held_out = parts.encoded("held_out")
        if not spec.paired:
            return rows, parts.x0(seed, rows), held_out.batch(np.arange(per_class) % len(held_out)).condition
        groups = group_by_class(held_out, per_class, labels or None, setting="sample.per_class")
        picked = torch.stack([torch.from_numpy(rows) for rows in groups.values()], dim=1).flatten()
        batch = held_out.batch(picked.numpy())
        return rows, parts.x0(seed, rows) if batch.x0 is None else batch.x0.cpu(), batch.condition


def chosen_labels(parts: Parts, classes: Sequence[int] | None) -> list[int]:
    """Return the labels to sample: `classes`, or all; empty for data without labels.

    Raises:
        UsageError: A class does not exist or is named twice, or there are none.
    """
    known = parts.classes
    if known is None:
        if classes is not None:
            raise UsageError(f"the data has no classes, so there is no class {listing(classes)}; do not name classes")
        return []
    if classes is None:
        return list(known)
    if unknown := set(classes) - set(known):
        raise UsageError(f"there is no class {listing(unknown)}; the classes are {listing(known)}")
    if not classes or len(set(classes)) < len(classes):
        raise UsageError(f"classes is {list(classes)}; name at least one class, and each only once")
    return list(classes)


def draw(
    parts: Parts,
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
    settings, calls = parts.recipe.sample, Calls()
    with blame(parts.recipe, "sampling"):
        samples = generate(
            field or parts.sampled_field(calls.counting),
            parts.sampler,
            x0,
            condition,
            seed=seed,
            rows=rows,
            batch_size=settings.batch_size,
            device=parts.device,
            trajectory=trajectory,
        )
        if parts.encoder is not None:
            samples = parts.encoder.decoded(samples, settings.batch_size)
    return replace(samples, network_evaluations=calls.samples / len(x0))


def by_class(parts: Parts, samples: Samples) -> dict[str, Tensor]:
    """Return the samples by class, as in the evaluation: label as text -> (N, *S)."""
    labels = samples.condition
    if not isinstance(parts.spec.condition, Labels) or labels is None:
        return {ALL: samples.x1}
    return {str(label): samples.x1[labels == label] for label in labels.unique().tolist()}
