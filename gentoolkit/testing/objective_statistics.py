"""Statistical contracts for objectives: what is learned from Gaussian data, and at which times."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.api import Labels
from gentoolkit.paths import expand, gaussian_velocity_error
from gentoolkit.testing.contracts import Case, contract, require
from gentoolkit.testing.measures import VISIBLE, standard_scores, z_bound
from gentoolkit.testing.placed import ROWS, STD, statistics

TEST_FUNCTIONS = ("1", "x", "t", "x t")
#: Number of equal parts of [0, 1].
PARTS = 16
#: Largest difference between x_t and the point on the path.
PLACED = 1e-5


def _need_small_scores(scores: dict[str, float], what: str, count: int) -> None:
    """Require that no z-score is larger than chance explains; `scores` has the largest of `count` scores, by name."""
    bound = z_bound(count)
    table = ", ".join(f"{name}: {z:.1f}" for name, z in scores.items())
    require(max(map(abs, scores.values())) <= bound, f"{what}; z-scores {table}; expected within {bound:.1f}")


@contract("objective.gradient")
def gradient(case: Case) -> None:
    """For Gaussian data, the known optimal velocity minimizes the loss: its expected gradient there is zero.

    The gradient is taken along changes of the velocity by 1, x, t and x t. Each sample has its own change, so that one
    backward pass computes the gradients of all samples. Their means must be 0 up to chance. Weights that depend only on
    t, and the parametrization, do not move the minimum.

    Power: a time that is off by 2 %.
    """
    found = statistics(case)
    scores = dict(zip(TEST_FUNCTIONS, standard_scores(found.steps).tolist(), strict=True))
    _need_small_scores(scores, "the gradient of the loss at the known optimal velocity is not zero", len(scores))


@contract("objective.closed_form")
def closed_form(case: Case) -> None:
    """At the optimal velocity, the unweighted error at t is std² / D(t) per dimension, D = t² std² + (1 - t)².

    This is the formula for the linear path; see `gaussian_velocity_error` for others. For given t and d dimensions,
    error / (std² / D) is exactly a chi² variable with d degrees of freedom divided by d, whose variance is 2 / d. Its
    mean must be 1 up to chance, over all times and over each eighth of them.

    Power: for d = 1, an error that is off by 6 % everywhere, or by 17 % in an eighth of the times; for more dimensions,
    divide both by sqrt(d).
    """
    found = statistics(case)
    times = found.times.double()
    ratio = found.error.double() / gaussian_velocity_error(times, STD, found.path)
    parts = {"all t": ratio}
    for part in times.argsort().chunk(8):
        parts[f"t from {times[part].min():.2f} to {times[part].max():.2f}"] = ratio[part]
    deviation = (2 / found.x1[0].numel()) ** 0.5
    scores = {name: ((r.mean() - 1) / deviation * len(r) ** 0.5).item() for name, r in parts.items()}
    message = f"the unweighted error at the optimum is {ratio.mean():.4f} times the closed form"
    if not found.has_error:
        message += " (if the backbone does not predict the velocity, set LossRecord.velocity_error)"
    _need_small_scores(scores, message, len(scores))


@contract("objective.time_direction")
def time_direction(case: Case) -> None:
    """The backbone receives x_t = alpha(t) x1 + sigma(t) x0 of the batch's pairs, with the matching t.

    On the path of the objective's field, x_t may differ from that by 1e-5, some ten times the rounding errors of
    float32 for these pairs. An objective that draws x0 itself ignores the recipe's source and coupling.

    Power: a t that is off by 1e-4; in any element, noise that is off by 1e-3.
    """
    found = statistics(case)

    def error(t: Tensor) -> float:
        alpha, sigma = (expand(f(t.double()), found.x1) for f in (found.path.alpha, found.path.sigma))
        return (found.x_t - (alpha * found.x1 + sigma * found.x0)).abs().max().item()

    off = error(found.t)
    message = f"x_t differs from alpha(t) x1 + sigma(t) x0 by up to {off:.2g}; expected the x0, x1 of the batch"
    if error(1 - found.t) <= PLACED:
        message += "; t probably runs from data to noise"
    require(off <= PLACED, message)


@contract("objective.coverage")
def coverage(case: Case) -> None:
    """Everything is trained: all times from 0 to 1, all classes, all elements of the output, all places in a batch.

    Each sixteenth of [0, 1] must contain samples, and the gradients of each sixteenth, class, element and place must
    exceed 1e-6 of the largest.

    Power: omitted times that cover a sixteenth (k / 16 to (k + 1) / 16), as any interval of 1 / 8 does, or of 1 / 16 at
    either end; a class, an element or a place in the batch with weight 0.
    """
    found = statistics(case)
    sizes = found.steps.abs().sum(1)
    _need_all(f"1/{PARTS} of the times", sizes, (found.t * PARTS).long().clamp(0, PARTS - 1), PARTS)
    if isinstance(case.spec.condition, Labels):
        _need_all("class", sizes, found.condition)
    _need_all("place in the batch", sizes, torch.arange(len(sizes)) % ROWS)
    elements = found.outputs.flatten(1)
    _need_all("element of the flattened output", elements.flatten(), torch.arange(elements.numel()) % elements.shape[1])


def _need_all(what: str, sizes: Tensor, group: Tensor, count: int | None = None) -> None:
    """Require that the mean gradient of each group, numbered from 0, exceeds a share VISIBLE of the largest."""
    means = torch.zeros(count or int(group.max()) + 1, dtype=torch.float64)
    means.scatter_reduce_(0, group, sizes.double(), "mean", include_self=False)
    weak = (means <= VISIBLE * means.max()).nonzero().flatten().tolist()
    numbers = ", ".join(map(str, weak))
    require(not weak, f"not trained: {what} number {numbers} (counted from 0); the gradient there is 0")
