"""How good a trained model is: metrics beside their floors, and the validation loss beside its optimum.

Both figures need a neighbour to be read. Two finite sets of real samples differ too: what a metric says of them is its
*floor*. A sampler with few steps errs even with a perfect network: what the *exact field* scores with it, where that
field is known, tells the sampler's fault from the network's. And no model predicts the velocity exactly, since many
pairs (x0, x1) run through one point x_t: the mean squared error that is left is the *optimum* of the loss.
"""

from gentoolkit.evaluation.exact import GaussianClasses, fit_gaussian_classes
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
    "GaussianClasses",
    "MetricResult",
    "ValidationLoss",
    "class_residual_std",
    "evaluate",
    "fit_gaussian_classes",
    "gaussian_optimum",
    "gaussian_optimum_by_t",
    "group_by_class",
    "real_halves",
    "require_samples",
    "validation_loss",
]
