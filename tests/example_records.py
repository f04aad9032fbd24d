"""Records for tests of the pictures and the page."""

from gentoolkit.records import Comparison, Evaluation, MetricResult, ModelLoss, ReferenceField, ReferenceLoss


def compared(value, floor, reference=None, std=0.001):
    sides = {"value": value, "floor": floor, "reference": reference}
    return Comparison(**sides, value_std=std, floor_std=None, reference_std=std)


def metric(mean, pooled, per_class=None, **values):
    return MetricResult(**dict(mean), **{"optimum": 0.0, **values}, pooled=pooled, per_class=per_class or {})


def loss(value, by_t, path="linear", reference=None):
    return ModelLoss(loss=value, loss_by_t=by_t, path=path, samples=9, reference=reference)


def reference_loss(name, value, by_t, explanation="", excess=None, excess_error=None):
    return ReferenceLoss(
        name=name, explanation=explanation, loss=value, loss_by_t=by_t, excess=excess, excess_error=excess_error
    )


def evaluation(validation, metrics=(), reference=None, step=4, left_out=None):
    return Evaluation(
        step=step,
        validation=validation,
        reference=reference and ReferenceField(name=reference[0], explanation=reference[1]),
        metrics=metrics,
        samples=40,
        samples_per_class=16,
        left_out=left_out or {},
        network_evaluations=20,
    )
