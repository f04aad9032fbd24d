"""Evaluation of a trained model: validation loss and metrics, with reference values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gentoolkit import evaluation
from gentoolkit.api import Labels
from gentoolkit.configs import Config
from gentoolkit.devices import choose_precision
from gentoolkit.evaluation import Groups, Reference
from gentoolkit.evaluation.metrics import finite
from gentoolkit.fields import Field
from gentoolkit.protocols import Dataset, Metric
from gentoolkit.registry import build, entry_of
from gentoolkit.sampling import Samples, sample_rows

if TYPE_CHECKING:
    from gentoolkit.pipeline.model import Model


def evaluate_model(model: Model, drawn: Samples | None = None) -> dict[str, Any]:
    """Return validation loss and metrics on held-out data, with floor and reference field, as plain JSON data.

    The generated samples are those of `Model.sample`, as many of each class as needed; samples in `drawn` are reused.
    The reference field starts from the same noise. It is not sampled with guidance, which changes the target
    distribution.
    """
    settings = model.recipe.evaluate
    held_out, reference = model.dataset("held_out"), reference_field(model)
    groups = held_out_groups(model, held_out)
    # The reference is the velocity of the data: a guided model has another target, and a flow map needs jumps.
    comparable = not model.recipe.guidance and model.recipe.needs_of("field") <= {"velocity"}
    compared = reference if comparable else None
    generated, evaluations = _generate(model, held_out, groups, drawn=drawn)
    results = evaluation.evaluate(
        _metrics(model),
        groups,
        held_out.batch(groups.real).x1,
        generated,
        held_out.batch(groups.floor).x1,
        _generate(model, held_out, groups, compared.field)[0] if compared else None,
        resamples=settings.resamples,
        seed=model.recipe.seed,
    )
    return {
        "step": model.step,
        "validation": _validation(model, reference),
        "reference": compared and {"name": compared.name, "explanation": compared.explanation},
        "metrics": [
            {**result.to_dict(), "explanation": explanation(part)}
            for result, part in zip(results, model.recipe.metrics, strict=True)
        ],
        "samples": sum(map(len, groups.pooled)),
        "samples_per_class": settings.per_class if groups.per_class else None,
        "left_out": dict(groups.left_out),
        "network_evaluations": evaluations,
        "sample_precision": choose_precision(model.recipe.sample.precision, model.device),
    }


def held_out_groups(model: Model, held_out: Dataset) -> Groups:
    """Return the held-out samples for the metrics. Raise UsageError if there are too few."""
    settings, condition = model.recipe.evaluate, model.spec.condition
    classes = range(condition.num_classes) if isinstance(condition, Labels) else None
    return evaluation.choose_groups(held_out, settings.per_class, settings.samples, classes, model.recipe.seed)


def reference_field(model: Model) -> Reference | None:
    """Return the reference field, or None if there is none.

    Both fields hold for independent pairs of Gaussian x0 and x1. With a codec, there is only the Gaussian model: the
    exact field is that of the data itself.
    """
    spec = model.spec
    if spec.paired or model.coupling is not None or "gaussian" not in model.recipe.source.offers():
        return None
    num_classes = spec.condition.num_classes if isinstance(spec.condition, Labels) else 1
    return evaluation.reference_field(
        model.encoded(model.dataset("train")),
        num_classes,
        gaussian=spec.gaussian,
        seed=model.recipe.seed,
        path=model.field().path,
    )


def _generate(
    model: Model, held_out: Dataset, groups: Groups, field: Field | None = None, drawn: Samples | None = None
) -> tuple[Tensor, float]:
    """Return a generated sample for each row of `groups.real`, with its condition and, for paired data, its x0.

    Also return how often the network was evaluated for each.
    """
    batch, seed = held_out.batch(groups.real), model.sample_seed
    labels = batch.condition if isinstance(model.spec.condition, Labels) else None
    rows = sample_rows(np.zeros(len(batch), dtype=np.int64) if labels is None else labels.numpy())
    x0 = model.x0(seed, rows) if batch.x0 is None else model.encoded(held_out).batch(groups.real).x0
    assert x0 is not None
    x0 = x0.cpu()
    at_hand: dict[int, Tensor] = {}
    # Rows identify samples only if nothing but the labels comes from the held-out data.
    if drawn is not None and drawn.seed == seed and labels is batch.condition and batch.x0 is None:
        at_hand = dict(zip(drawn.rows.tolist(), drawn.x1, strict=True))
    missing = np.array([row not in at_hand for row in rows.tolist()])
    evaluations = drawn.network_evaluations if drawn else 0.0
    if missing.any():
        condition = None if batch.condition is None else batch.condition[missing]
        fresh = model.draw(x0[missing], condition, rows[missing], seed, field=field)
        evaluations = fresh.network_evaluations
        at_hand |= dict(zip(fresh.rows.tolist(), fresh.x1, strict=True))
    return torch.stack([at_hand[row] for row in rows.tolist()]), evaluations


def _validation(model: Model, reference: Reference | None) -> dict[str, Any]:
    """Return the validation losses of the model and of the reference field, on the same samples, times and noise."""
    found = model.validate()
    values = {**found.to_dict(), "samples": len(found.errors), "reference": None}
    if reference is None:
        return values
    best = model.validate(reference.field)
    excess, error = found.excess_over(best)
    return values | {
        "reference": {
            "name": reference.name,
            "explanation": reference.explanation,
            "loss": finite(best.loss),
            "loss_by_t": [finite(loss) for loss in best.loss_by_t],
            "excess": finite(excess),
            "excess_error": finite(error),
        }
    }


def _metrics(model: Model) -> Mapping[str, Callable[[], Metric]]:
    metrics = model.recipe.metrics
    names = [entry_of(metric).name for metric in metrics]
    unique = [name if names.count(name) == 1 else f"{name} {i + 1}" for i, name in enumerate(names)]
    return {name: partial(build, metric) for name, metric in zip(unique, metrics, strict=True)}


def explanation(config: Config) -> str:
    """Return the first paragraph of the config's docstring as one line."""
    return " ".join((inspect.getdoc(type(config)) or "").split("\n\n")[0].split())
