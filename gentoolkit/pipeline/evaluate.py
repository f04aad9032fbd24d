"""Evaluation of a trained model: validation loss and metrics, with reference values."""

from __future__ import annotations

import inspect
import math

import numpy as np
import torch
from torch import Tensor

from gentoolkit import evaluation, provenance
from gentoolkit.configs import Config, to_data
from gentoolkit.devices import Placement
from gentoolkit.errors import NonFiniteError, raise_together
from gentoolkit.evaluation import Groups, Reference, ValidationLoss
from gentoolkit.fields import Field
from gentoolkit.pipeline.blame import blame
from gentoolkit.pipeline.changes import used_plugins
from gentoolkit.pipeline.metrics import MetricBuilder
from gentoolkit.pipeline.parts import Parts
from gentoolkit.pipeline.sampling import draw, sample, sample_seed, start
from gentoolkit.records import Conditions, Evaluation, ModelLoss, ReferenceField, ReferenceLoss
from gentoolkit.sampling import Samples, sample_rows


def evaluate(parts: Parts, drawn: Samples | None = None) -> Evaluation:
    """Return validation loss and metrics on held-out data, with floor and reference field.

    The generated samples are those of `sample`, as many of each class as needed. The reference field starts from the
    same noise. It is not sampled with guidance, which changes the target distribution.

    Args:
        parts: The model.
        drawn: Samples of this model, which are reused where possible. Default: those of `sample`, drawn here. At the
            end of a run they are at hand. Rounding depends on which samples are drawn together, so a later evaluation
            has the same bits only if it draws them too.
    """
    drawn = sample(parts) if drawn is None else drawn
    recipe, settings = parts.recipe, parts.recipe.evaluate
    with blame(recipe, "evaluating"):
        held_out, reference = parts.splits["held_out"], reference_field(parts)
        groups = held_out_groups(parts)
        # The reference is the velocity of the data: a guided model has another target, and a flow map needs jumps.
        comparable = not recipe.guidance and recipe.needs_of("field") <= {"velocity"}
        compared = reference if comparable else None
        generated, evaluations = _generate(parts, groups, drawn=drawn)
        builder = MetricBuilder(parts)
        results = evaluation.evaluate(
            builder.all(),
            groups,
            held_out.batch(groups.real),
            generated,
            held_out.batch(groups.floor),
            _generate(parts, groups, compared.field)[0] if compared else None,
            resamples=settings.resamples,
            seed=recipe.seed,
            batch_size=recipe.sample.batch_size,
        )
        return Evaluation(
            step=parts.step,
            validation=_validation(parts, reference),
            reference=compared and ReferenceField(name=compared.name, explanation=compared.explanation),
            metrics=[
                result.model_copy(
                    update={
                        "explanation": explanation(config),
                        "config": to_data(config),
                        "features": builder.used(config),
                    }
                )
                for result, config in zip(results, recipe.metrics, strict=True)
            ],
            samples=sum(map(len, groups.pooled)),
            samples_per_class=settings.per_class if groups.per_class else None,
            left_out=dict(groups.left_out),
            network_evaluations=evaluations,
            sample_precision=Placement.choose(parts.device, recipe.sample.precision).precision,
            conditions=_conditions(parts),
        )


def _conditions(parts: Parts) -> Conditions:
    recipe = parts.recipe
    return Conditions(
        seed=recipe.seed,
        sample_seed=sample_seed(parts),
        sampler=to_data(recipe.sampler),
        nfe=parts.sampler.nfe,
        guidance=tuple(map(to_data, recipe.guidance)),
        sample_precision=Placement.choose(parts.device, recipe.sample.precision).precision,
        batch_size=recipe.sample.batch_size,
        evaluate=recipe.evaluate.model_dump(),
        versions=provenance.versions(used_plugins(recipe)),
        hardware=provenance.hardware(parts.device),
    )


def validate(parts: Parts, field: Field | None = None) -> ValidationLoss:
    """Return the validation loss of the model or of another field on held-out data, computed in fp32.

    Raises:
        NonFiniteError: The loss is infinite or NaN.
    """
    recipe = parts.recipe
    with blame(recipe, "validation"):
        validation = evaluation.validation_loss(
            field or parts.field(),
            parts.encoded("held_out"),
            validation_samples(parts),
            source=parts.source,
            coupling=parts.coupling,
            coupled_size=recipe.train.batch_size,
            seed=recipe.seed,
            batch_size=recipe.sample.batch_size,
            device=parts.device,
        )
        if not math.isfinite(validation.loss):
            raise NonFiniteError("the validation loss is not finite", kind="backbone")
        return validation


def check_held_out(parts: Parts) -> None:
    """Check before training that there is enough held-out data for sampling and evaluation.

    Raises:
        UsageError: There are too few held-out samples. The message has a line for each setting that needs more.
    """
    recipe = parts.recipe
    raise_together(
        lambda: held_out_groups(parts),
        lambda: evaluation.require_samples(parts.splits["held_out"], validation_samples(parts)),
        lambda: start(parts, recipe.sample.per_class, recipe.sample.classes, recipe.seed),
    )


def held_out_groups(parts: Parts) -> Groups:
    """Return the held-out samples for the metrics. Raise UsageError if there are too few."""
    settings, held_out = parts.recipe.evaluate, parts.splits["held_out"]
    return evaluation.choose_groups(
        held_out, settings.per_class, settings.samples, parts.classes, parts.recipe.seed, settings.allow_fewer
    )


def validation_samples(parts: Parts) -> int:
    """Return the number of held-out samples for the validation loss."""
    settings = parts.recipe.evaluate
    held_out = len(parts.splits["held_out"]) if settings.allow_fewer else settings.validation_samples
    return min(settings.validation_samples, held_out)


def reference_field(parts: Parts) -> Reference | None:
    """Return the reference field, or None if there is none.

    Both fields hold for independent pairs of Gaussian x0 and x1. With a codec, there is only the Gaussian model: the
    exact field is that of the data itself.
    """
    spec = parts.spec
    if spec.paired or parts.coupling is not None or "gaussian" not in parts.recipe.source.offers():
        return None
    return evaluation.reference_field(
        parts.encoded("train"),
        len(parts.classes or [0]),
        gaussian=spec.gaussian,
        seed=parts.recipe.seed,
        path=parts.field().path,
    )


def _generate(
    parts: Parts, groups: Groups, field: Field | None = None, drawn: Samples | None = None
) -> tuple[Tensor, float]:
    """Return a generated sample for each row of `groups.real`, with its condition and, for paired data, its x0.

    Also return how often the network was evaluated for each.
    """
    batch, seed = parts.splits["held_out"].batch(groups.real), sample_seed(parts)
    labels = batch.condition if parts.classes else None
    rows = sample_rows(np.zeros(len(batch), dtype=np.int64) if labels is None else labels.numpy())
    x0 = parts.x0(seed, rows) if batch.x0 is None else parts.encoded("held_out").batch(groups.real).x0
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
        fresh = draw(parts, x0[missing], condition, rows[missing], seed, field=field)
        evaluations = fresh.network_evaluations
        at_hand |= dict(zip(fresh.rows.tolist(), fresh.x1, strict=True))
    return torch.stack([at_hand[row] for row in rows.tolist()]), evaluations


def _validation(parts: Parts, reference: Reference | None) -> ModelLoss:
    """Return the validation losses of the model and of the reference field, on the same samples, times and noise."""
    found, other = validate(parts), None
    if reference is not None:
        best = validate(parts, reference.field)
        excess, error = found.excess_over(best)
        other = ReferenceLoss(
            **best.numbers(),
            name=reference.name,
            explanation=reference.explanation,
            excess=excess,
            excess_error=error,
        )
    return ModelLoss(**found.numbers(), path=found.path, samples=len(found.errors), reference=other)


def explanation(config: Config) -> str:
    """Return the first paragraph of the config's docstring as one line."""
    return " ".join((inspect.getdoc(type(config)) or "").split("\n\n")[0].split())
