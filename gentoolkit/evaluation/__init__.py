"""How good a trained model is: metrics beside their floors, and the validation loss beside a reference field's.

A number needs a neighbor to be read. Two finite sets of real samples differ too: what a metric says of them is its
*floor*. A sampler with few steps errs even with a perfect network: what a *reference field* scores with the same
sampler tells the sampler's error from the network's. And no model predicts the velocity exactly, since many pairs
(x0, x1) run through one point x_t: the reference field's loss on the same samples says how much of the loss is left
to learn. The reference is the exact field where the data's distribution is known, or the best field for a Gaussian
model of each class.
"""

from gentoolkit.evaluation.exact import GaussianClasses, Reference, exact_field, fit_gaussian_classes, reference_field
from gentoolkit.evaluation.groups import ALL, Groups, choose_groups, group_by_class
from gentoolkit.evaluation.metrics import Comparison, Estimate, MetricResult, evaluate
from gentoolkit.evaluation.validation import TIME_BINS, ValidationLoss, require_samples, validation_loss

__all__ = [
    "ALL",
    "TIME_BINS",
    "Comparison",
    "Estimate",
    "GaussianClasses",
    "Groups",
    "MetricResult",
    "Reference",
    "ValidationLoss",
    "choose_groups",
    "evaluate",
    "exact_field",
    "fit_gaussian_classes",
    "group_by_class",
    "reference_field",
    "require_samples",
    "validation_loss",
]
