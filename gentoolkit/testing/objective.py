"""The contracts of objectives: what is regressed, and the field that the result stands for.

The data is N(mean, std² I), for which the best velocity v*(x_t, t) is known (`gentoolkit.paths.gaussian_velocity`). A
backbone that is nothing but v*, told through the objective's own `output_for`, must be the minimum of the loss.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gentoolkit.paths import Path, expand, gaussian_velocity, gaussian_velocity_error
from gentoolkit.protocols import Batch, LossRecord, Objective, TrainingContext
from gentoolkit.randomness import BatchGenerator
from gentoolkit.testing.contracts import Case, contract, does_not_apply, require
from gentoolkit.testing.measures import (
    equal_or_none,
    global_randomness_kept,
    largest_difference,
    standard_scores,
    z_bound,
)

#: The data. A narrow one far from 0 tells well at which time it is looked at: with MANY samples, a time label that is
#: 5 % off gives |z| > 25 whether the velocity, x1 or x0 is regressed (measured; with STD 1 and MEAN 1 it would be 7).
STD, MEAN = 0.3, 2.0
#: How many samples the statistics are taken over.
MANY = 2**16
TEST_FUNCTIONS = ("1", "x", "t", "x t")


class Placed(nn.Module):
    """A backbone that predicts v* + theta · (1, x, t, x t) in an objective's parametrisation.

    Args:
        objective: Says through `output_for` what it wants to be told.
        theta: (B, 4), a step of each sample along each test function; its gradient is then that of each sample.
    """

    def __init__(self, objective: Objective, theta: Tensor | None = None) -> None:
        super().__init__()
        self.objective = [objective]  # in a list, so that its parameters are not the backbone's
        self.theta = theta
        self.calls: list[tuple[Tensor, Tensor, Tensor | None]] = []

    @property
    def path(self) -> Path:
        """The path of the objective's field."""
        return self.objective[0].field(self).path

    def velocity(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return v*, (B, *S)."""
        return gaussian_velocity(x_t, t, x_t.new_full(x_t.shape[1:], MEAN), STD, self.path)

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the output that stands for v* + theta · (1, x, t, x t)."""
        self.calls.append((x_t.detach(), t.detach(), condition))
        v = self.velocity(x_t, t)
        if self.theta is not None:
            require(len(x_t) == len(self.theta), f"{len(self.theta)} samples, but the backbone is given {len(x_t)}")
            one, s = torch.ones_like(x_t), expand(t, x_t)
            terms = zip(self.theta.unbind(1), (one, x_t, s * one, s * x_t), strict=True)
            v = v + sum((expand(theta, x_t) * phi for theta, phi in terms), torch.zeros_like(x_t))
        return self.objective[0].output_for(v, x_t, t)


def _batch(case: Case, count: int) -> Batch:
    """Return `count` samples of the Gaussian data, paired with noise where the objective's data comes in pairs."""
    shape = case.spec.shape
    x1 = MEAN + STD * case.normal(count, *shape)
    return Batch(x1, case.conditions(count), case.normal(count, *shape, draw=1) if case.spec.paired else None)


def _context(case: Case, count: int, teacher: nn.Module, stream: int = 0) -> TrainingContext:
    return TrainingContext(BatchGenerator(case.seed, "contract", stream, count), ema_backbone=teacher)


def _loss(case: Case, count: int, theta: Tensor | None = None) -> tuple[LossRecord, Batch, Placed]:
    objective, batch = case.build(), _batch(case, count)
    backbone = Placed(objective, theta)
    return objective.loss(backbone, batch, _context(case, count, Placed(objective))), batch, backbone


def observe(case: Case, objective: Any) -> dict[str, Tensor]:
    """Return what tells two objectives apart."""
    record = objective.loss(Placed(objective), _batch(case, 8), _context(case, 8, Placed(objective)))
    weights = objective.state_dict() if isinstance(objective, nn.Module) else {}
    return {**weights, "loss": record.loss.detach(), "t": record.t}


def _need_small_scores(scores: dict[str, float], what: str) -> None:
    """Require that no z-score is beyond chance."""
    bound = z_bound(len(scores))
    table = ", ".join(f"{name}: {z:.1f}" for name, z in scores.items())
    require(max(map(abs, scores.values())) <= bound, f"{what}; z-scores {table}; expected within {bound:.1f}")


@contract("objective.record")
def record(case: Case) -> None:
    """The loss and its times are per sample, (B,), finite, with t in [0, 1]; the loss is attached to the graph."""
    theta = torch.zeros(16, 4, requires_grad=True)
    found, _, backbone = _loss(case, 16, theta)
    for name in ("loss", "t", "velocity_error"):
        value = getattr(found, name)
        if name == "velocity_error" and value is None:
            continue
        require(tuple(value.shape) == (16,), f"{name} of 16 samples is {tuple(value.shape)}; expected (16,)")
        require(value.isfinite().all(), f"{name} is not finite")
    low, high = found.t.min().item(), found.t.max().item()
    require(0 <= low <= high <= 1, f"t is from {low} to {high}; expected 0 to 1")
    require(bool(backbone.calls), "the loss does not call the backbone")
    attached = found.loss.requires_grad
    attached = attached and torch.autograd.grad(found.loss.sum(), theta, allow_unused=True)[0] is not None
    require(attached, "the loss is detached from the backbone's output")


@contract("objective.gradient")
def gradient(case: Case) -> None:
    """For Gaussian data the known best velocity is a minimum: the loss's gradient there is zero in expectation.

    Along the steps 1, x, t and x t of the velocity. Each sample has its own step, so one backward pass gives the
    gradients of all samples; their means must be within chance of 0. Weights
    that depend on t alone, and any parametrisation, leave the minimum where it is; a time label that is 5 % off moves
    it.
    """
    theta = torch.zeros(MANY, 4, requires_grad=True)
    found, _, _ = _loss(case, MANY, theta)
    found.loss.sum().backward()
    assert theta.grad is not None
    scores = dict(zip(TEST_FUNCTIONS, standard_scores(theta.grad).tolist(), strict=True))
    _need_small_scores(scores, "the loss has a gradient at the known optimal velocity")


@contract("objective.closed_form")
def closed_form(case: Case) -> None:
    """At the best velocity the unweighted error at time t is std² / D(t) per dimension, D = t² std² + (1 - t)².

    That is for the linear path; `gaussian_velocity_error` has the others. Given t, error / (std² / D) is chi² of the d
    dimensions over d, of variance 2 / d, exactly. Its mean must be 1 within chance, over all times and over eighths.
    """
    found, batch, backbone = _loss(case, MANY)
    error = found.loss if found.velocity_error is None else found.velocity_error
    times = found.t.detach().double()
    ratio = error.detach().double() / gaussian_velocity_error(times, STD, backbone.path)
    parts = {"all t": ratio}
    for part in times.argsort().chunk(8):
        parts[f"t from {times[part].min():.2f} to {times[part].max():.2f}"] = ratio[part]
    deviation = (2 / batch.x1[0].numel()) ** 0.5
    scores = {name: ((r.mean() - 1) / deviation * len(r) ** 0.5).item() for name, r in parts.items()}
    told = f"the unweighted loss at the optimum is {ratio.mean():.4f} times the closed form"
    if found.velocity_error is None:
        told += " (if the backbone does not predict the velocity, set LossRecord.velocity_error)"
    _need_small_scores(scores, told)


@contract("objective.time_direction")
def time_direction(case: Case) -> None:
    """The backbone is given x_t = alpha(t) x1 + sigma(t) x0 with its t: noise at t = 0, the batch's data at t = 1.

    The path is that of the objective's field. (x_t - alpha x1) / sigma must be standard normal noise: its mean, its
    variance and its covariance with x1 must be within chance of 0, 1 and 0. Where sigma < 0.001, rounding hides it.
    """
    _, batch, backbone = _loss(case, MANY)
    x_t, t, _ = backbone.calls[0]
    told = "(x_t - alpha x1) / sigma is not standard normal noise"
    if max(map(abs, _noise_scores(batch.x1, x_t, 1 - t, backbone.path).values())) <= z_bound(3):
        told += "; it looks as if t runs from data to noise"
    _need_small_scores(_noise_scores(batch.x1, x_t, t, backbone.path), told)


def _noise_scores(x1: Tensor, x_t: Tensor, t: Tensor, path: Path) -> dict[str, float]:
    """Return how far (x_t - alpha x1) / sigma is from standard normal noise."""
    alpha, sigma = (f(t.double()) for f in (path.coefficients.alpha, path.coefficients.sigma))
    clear = sigma > 1e-3
    noise = ((x_t - expand(alpha, x_t) * x1) / expand(sigma, x_t))[clear].flatten(1)
    data = ((x1 - MEAN) / STD)[clear].flatten(1)
    rows = torch.stack([noise.mean(1), noise.square().mean(1) - 1, (noise * data).mean(1)], 1)
    return dict(zip(("mean", "variance - 1", "covariance with x1"), standard_scores(rows).tolist(), strict=True))


@contract("objective.field")
def field(case: Case) -> None:
    """`output_for` is the inverse of `field`: the field of a backbone that is told v* is v*, and finite at t = 0.

    In float64, for t from 0.02 to 0.98: a division by t or 1 - t on the way there and back leaves 1e-16 / 0.02² =
    3e-13 of rounding, for which 1e-11 is allowed.
    """
    objective, x_t = case.build(), case.normal(32, *case.spec.shape, dtype=torch.float64)
    placed = Placed(objective)
    t = torch.linspace(0.02, 0.98, 32, dtype=torch.float64)
    found, told = objective.field(placed)(x_t, t, case.conditions(32)), placed.velocity(x_t, t)
    error = largest_difference(found, told)
    negative = "; it is the negative" if largest_difference(-found, told) <= 1e-11 else ""
    require(error <= 1e-11, f"the field differs by {error:.1e} from the velocity that `output_for` was told{negative}")
    start = objective.field(lambda x, t, condition=None: x * 0 + 1)(x_t, 0 * t, case.conditions(32))
    require(start.isfinite().all(), "the field of a finite backbone is not finite at t = 0, where samplers start")


@contract("objective.condition")
def condition(case: Case) -> None:
    """The loss and the field hand the condition on to the backbone as it is; the core drops conditions."""
    _, batch, in_loss = _loss(case, 16)
    in_field = Placed(case.build())
    in_field.objective[0].field(in_field)(batch.x1, torch.full((16,), 0.5), batch.condition)
    for name, calls in (("loss", in_loss.calls), ("field", in_field.calls)):
        for _, _, got in calls:
            require(
                equal_or_none(got, batch.condition),
                f"the {name} gives the backbone the condition {got}; expected {batch.condition}",
            )


@contract("objective.randomness")
def randomness(case: Case) -> None:
    """All randomness comes from `context.generator`: equal generators give equal losses, others give others.

    The global generators of torch, numpy and Python are not touched.
    """
    objective, batch = case.build(), _batch(case, 64)
    placed = Placed(objective)
    with global_randomness_kept():
        a, again, other = (
            objective.loss(placed, batch, _context(case, 64, placed, stream)).loss.detach() for stream in (0, 0, 1)
        )
    require(torch.equal(a, again), "equal generators give different losses")
    require(not torch.equal(a, other), "another generator gives the same losses")


@contract("objective.parameters")
def parameters(case: Case) -> None:
    """Parameters of the objective's own get finite gradients that are not zero, since they are trained."""
    objective = case.build()
    own = dict(objective.named_parameters()) if isinstance(objective, nn.Module) else {}
    if not own:
        does_not_apply("it has no parameters of its own")
    theta = torch.zeros(64, 4, requires_grad=True)
    objective.loss(
        Placed(objective, theta), _batch(case, 64), _context(case, 64, Placed(objective))
    ).loss.sum().backward()
    dead = [name for name, p in own.items() if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()]
    require(not dead, f"no finite gradient that is not zero reaches {', '.join(dead)}")
