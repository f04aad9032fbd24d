"""How good a trained model is: metrics beside their floors, and the validation loss beside its optimum.

Both figures need a neighbour to be read. Two finite sets of real samples differ too: what a metric says of them is its
*floor*. And no model predicts the velocity exactly, since many pairs (x0, x1) run through one point x_t: the mean
squared error that is left is the *optimum* of the loss.
"""

from gentoolkit.evaluation.metrics import ALL, Comparison, MetricResult, evaluate, group_by_class, real_halves
from gentoolkit.evaluation.validation import (
    TIME_BINS,
    ValidationLoss,
    class_residual_std,
    gaussian_optimum,
    gaussian_optimum_by_t,
    require_samples,
    validation_loss,
)

__all__ = [
    "ALL",
    "TIME_BINS",
    "Comparison",
    "MetricResult",
    "ValidationLoss",
    "class_residual_std",
    "evaluate",
    "gaussian_optimum",
    "gaussian_optimum_by_t",
    "group_by_class",
    "real_halves",
    "require_samples",
    "validation_loss",
]
