"""The contracts of objectives that are statistical: what is learned from Gaussian data, and where it is learned.

An objective with the trait "coupled" is given batches of one sample here: x0 and x1 are then independent, whatever it
does within a batch. `objective.one_point` looks at whole batches of such objectives, too.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.api import Labels
from gentoolkit.paths import Path, expand, gaussian_velocity_error
from gentoolkit.testing.contracts import Case, contract, require
from gentoolkit.testing.measures import VISIBLE, standard_scores, z_bound
from gentoolkit.testing.placed import MEAN, ROWS, STD, statistics

TEST_FUNCTIONS = ("1", "x", "t", "x t")
#: [0, 1] in so many equal parts.
PARTS = 16


def _need_small_scores(scores: dict[str, float], what: str, count: int) -> None:
    """Require that none of `count` z-scores, of which `scores` has the largest by name, is beyond chance."""
    bound = z_bound(count)
    table = ", ".join(f"{name}: {z:.1f}" for name, z in scores.items())
    require(max(map(abs, scores.values())) <= bound, f"{what}; z-scores {table}; expected within {bound:.1f}")


@contract("objective.gradient")
def gradient(case: Case) -> None:
    """For Gaussian data the known best velocity is a minimum: the loss's gradient there is zero in expectation.

    Along the steps 1, x, t and x t of the velocity. Each sample has its own step, so one backward pass gives the
    gradients of all samples; their means must be within chance of 0. Weights that depend on t alone, and any
    parametrization, leave the minimum where it is.

    Power: a time that is 2 % off; if "coupled", 8 %.
    """
    found = statistics(case)
    scores = dict(zip(TEST_FUNCTIONS, standard_scores(found.steps).tolist(), strict=True))
    _need_small_scores(scores, "the loss has a gradient at the known optimal velocity", len(scores))


@contract("objective.closed_form")
def closed_form(case: Case) -> None:
    """At the best velocity the unweighted error at time t is std² / D(t) per dimension, D = t² std² + (1 - t)².

    That is for the linear path; `gaussian_velocity_error` has the others. Given t, error / (std² / D) is chi² of the d
    dimensions over d, of variance 2 / d, exactly. Its mean must be 1 within chance, over all times and over eighths.

    Power: for d = 1, an error that is 6 % off everywhere, or 17 % in an eighth of the times; more dimensions divide
    both by sqrt(d). If "coupled", four times as much.
    """
    found = statistics(case)
    times = found.times.double()
    ratio = found.error.double() / gaussian_velocity_error(times, STD, found.path)
    parts = {"all t": ratio}
    for part in times.argsort().chunk(8):
        parts[f"t from {times[part].min():.2f} to {times[part].max():.2f}"] = ratio[part]
    deviation = (2 / found.x1[0].numel()) ** 0.5
    scores = {name: ((r.mean() - 1) / deviation * len(r) ** 0.5).item() for name, r in parts.items()}
    told = f"the unweighted loss at the optimum is {ratio.mean():.4f} times the closed form"
    if not found.has_error:
        told += " (if the backbone does not predict the velocity, set LossRecord.velocity_error)"
    _need_small_scores(scores, told, len(scores))


@contract("objective.time_direction")
def time_direction(case: Case) -> None:
    """The backbone is given x_t = alpha(t) x1 + sigma(t) x0 with its t: noise at t = 0, the batch's data at t = 1.

    The path is that of the objective's field. (x_t - alpha x1) / sigma must be standard normal noise: in every element
    its mean is 0 and its variance 1, and it has no covariance with another element or with x1, each within chance.
    Where sigma < 0.001, rounding hides it.

    Power: in any one element a mean of 0.05, a variance of 1.08 (a standard deviation of 1.04), a correlation of 0.05
    (if "coupled", four times as much).
    """
    found = statistics(case)
    told, backwards = "(x_t - alpha x1) / sigma is not standard normal noise", 1 - found.t
    scores, count = _noise_scores(found.x1, found.x_t, found.t, found.path)
    if max(map(abs, _noise_scores(found.x1, found.x_t, backwards, found.path)[0].values())) <= z_bound(count):
        told += "; it looks as if t runs from data to noise"
    _need_small_scores(scores, told, count)


def _noise_scores(x1: Tensor, x_t: Tensor, t: Tensor, path: Path) -> tuple[dict[str, float], int]:
    """Return how far (x_t - alpha x1) / sigma is from standard normal: the worst z-scores, and of how many."""
    alpha, sigma = (f(t.double()) for f in (path.coefficients.alpha, path.coefficients.sigma))
    clear = sigma > 1e-3
    noise = ((x_t - expand(alpha, x_t) * x1) / expand(sigma, x_t))[clear].flatten(1)
    data = ((x1.double() - MEAN) / STD)[clear].flatten(1)
    root, dims = len(noise) ** 0.5, noise.shape[1]
    scores = {
        "mean": root * noise.mean(0),
        "variance - 1": root * (noise.square().mean(0) - 1) / 2**0.5,
        "covariance of elements": (noise.T @ noise / root).fill_diagonal_(0),
        "covariance with x1": noise.T @ data / root,
    }
    worst = {name: z.flatten()[z.abs().argmax()].item() for name, z in scores.items()}
    return worst, dims * (2 + (dims - 1) + dims)


@contract("objective.coverage")
def coverage(case: Case) -> None:
    """Everything is trained: all times from 0 to 1, all classes, all elements of the output, all places in a batch.

    For each sixteenth of [0, 1] there are samples, and no sixteenth, class, element or place has gradients that are
    below 1e-6 of the largest.

    Power: times that are left out, if they hold a sixteenth (k / 16 to (k + 1) / 16), so any eighth, and at each end
    1 / 16; a class, an element or a place in the batch with a weight of 0.
    """
    found = statistics(case)
    sizes, rows = found.steps.abs().sum(1), 1 if "coupled" in case.traits else ROWS
    _need_all(f"1/{PARTS} of the times", sizes, (found.t * PARTS).long().clamp(0, PARTS - 1), PARTS)
    if isinstance(case.spec.condition, Labels):
        _need_all("class", sizes, found.condition)
    _need_all("place in the batch", sizes, torch.arange(len(sizes)) % rows)
    elements = found.outputs.flatten(1)
    _need_all("element of the flattened output", elements.flatten(), torch.arange(elements.numel()) % elements.shape[1])


def _need_all(what: str, sizes: Tensor, group: Tensor, count: int | None = None) -> None:
    """Require that each of the groups, from 0 on, has a mean gradient that is visible beside the largest."""
    means = torch.zeros(count or int(group.max()) + 1, dtype=torch.float64)
    means.scatter_reduce_(0, group, sizes.double(), "mean", include_self=False)
    weak = (means <= VISIBLE * means.max()).nonzero().flatten().tolist()
    numbers = ", ".join(map(str, weak))
    require(not weak, f"not trained: {what} number {numbers} (from 0 on); the gradient there is 0")
