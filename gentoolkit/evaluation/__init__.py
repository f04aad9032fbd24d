"""Evaluation of a trained model: metrics with their floors, and the validation loss, compared with a reference field.

Each result comes with values to compare it with. The *floor* of a metric is its value between two finite sets of real
samples, which is not perfect either. The score of a *reference field* with the same sampler separates the sampler's
error from the network's, since a sampler with few steps makes errors even with a perfect network. The validation loss
of the reference field on the same samples shows how much is left to learn: no model predicts the velocity exactly,
because many pairs (x0, x1) pass through the same point x_t. The reference is the exact field if the distribution of the
data is known, or else the best field for a Gaussian model of each class.
"""

from gentoolkit.evaluation.exact import GaussianClasses, Reference, exact_field, fit_gaussian_classes, reference_field
from gentoolkit.evaluation.groups import ALL, Groups, choose_groups, group_by_class
from gentoolkit.evaluation.metrics import evaluate, in_parts, prepared
from gentoolkit.evaluation.validation import TIME_BINS, ValidationLoss, require_samples, validation_loss

__all__ = [
    "ALL",
    "TIME_BINS",
    "GaussianClasses",
    "Groups",
    "Reference",
    "ValidationLoss",
    "choose_groups",
    "evaluate",
    "exact_field",
    "fit_gaussian_classes",
    "group_by_class",
    "in_parts",
    "prepared",
    "reference_field",
    "require_samples",
    "validation_loss",
]
