"""Contracts for objectives: the loss, and the field that results from training.

They use a backbone that predicts the optimal velocity, converted by the objective's own `output_for`. It must minimize
the loss. Contracts that need many samples are in `gentoolkit.testing.objective_statistics`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gentoolkit.protocols import Batch, LossRecord
from gentoolkit.testing.contracts import Case, contract, does_not_apply, fail, require
from gentoolkit.testing.measures import equal_or_none, global_randomness_kept, largest_difference
from gentoolkit.testing.placed import ROWS, OnePoint, Placed, gaussian_batch, loss_at, noise

#: Number of times from 0 to 1, both included, at which fields are compared.
TIMES = 257


def observe(case: Case, objective: Any) -> dict[str, Tensor]:
    """Return what must be equal for two equal objectives."""
    record, _ = loss_at(case, objective, gaussian_batch(case, 8))
    weights = objective.state_dict() if isinstance(objective, nn.Module) else {}
    return {**weights, "loss": record.loss.detach(), "t": record.t}


@contract("objective.record")
def record(case: Case) -> None:
    """The loss and its times have shape (B,) and are finite, t is in [0, 1], and the loss is attached to the graph.

    Power: any other shape, any value that is not finite, and any t outside [0, 1], in 16 samples.
    """
    theta = torch.zeros(16, 4, requires_grad=True)
    found, backbone = loss_at(case, case.build(), gaussian_batch(case, 16), theta)
    for name in ("loss", "t", "velocity_error"):
        value = getattr(found, name)
        if name == "velocity_error" and value is None:
            continue
        require(tuple(value.shape) == (16,), f"{name} of 16 samples has shape {tuple(value.shape)}; expected (16,)")
        require(value.isfinite().all(), f"{name} is not finite")
    low, high = found.t.min().item(), found.t.max().item()
    require(0 <= low <= high <= 1, f"t ranges from {low} to {high}; expected 0 to 1")
    require(bool(backbone.calls), "the loss does not call the backbone")
    attached = found.loss.requires_grad
    attached = attached and torch.autograd.grad(found.loss.sum(), theta, allow_unused=True)[0] is not None
    require(attached, "the loss is detached from the backbone's output")


@contract("objective.one_point")
def one_point(case: Case) -> None:
    """For data with one point per condition, the velocity towards that point minimizes the loss and has error 0.

    x_t = alpha x1 + sigma x0 then determines the velocity alpha' x1 + sigma' x0. If the
    velocity is off by 1/2, the unweighted error must be 1/4, and the loss must not decrease for any sample. Times with
    sigma < 0.05 are excluded because of rounding.

    Power: in a single sample of 256, a velocity that is off by 0.001, as results from a time that is off by 0.0001; a
    sample with the condition of another; an error that is off by a factor of 1.01.
    """
    data, objective = OnePoint(case), case.build()
    condition = case.conditions(ROWS)
    batch = Batch(data.points(condition, ROWS), condition, noise(case, ROWS))
    records = {}
    for step in (0.0, 0.5, -0.5):
        records[step], backbone = loss_at(case, objective, batch, torch.tensor([step, 0, 0, 0]).repeat(ROWS, 1), data)
    clear = backbone.path.sigma(records[0.0].t) > 0.05
    loss, error = ({step: pick(r)[clear] for step, r in records.items()} for pick in (_loss_of, _error_of))
    worst = error[0.0].max().item() ** 0.5
    require(worst <= 1e-3, f"the error of the velocity that leads to the only x1 is {worst:.1e}; expected 0")
    for step in (0.5, -0.5):
        ratios = (error[step] / step**2).tolist()
        worst = max(ratios, key=lambda ratio: abs(ratio - 1))
        message = f"a velocity off by {step} has {worst:.3g} times the expected error of {step**2}"
        require(abs(worst - 1) <= 0.01, message)
        fall = (loss[0.0] - loss[step]).max().item()
        require(fall <= 1e-5, f"the loss decreases by {fall:.1e} when the optimal velocity is changed by {step}")


def _loss_of(found: LossRecord) -> Tensor:
    return found.loss.detach()


def _error_of(found: LossRecord) -> Tensor:
    return (found.loss if found.velocity_error is None else found.velocity_error).detach()


@contract("objective.field")
def field(case: Case) -> None:
    """`output_for` is the inverse of `field`: converting v* with both returns v*, on the whole domain of the field.

    In float64, at 257 times including both ends. Rounding errors of both conversions are below 1e-16 over the square of
    the change of the output for a change of the velocity by 1, compared with its largest; 1e-12 over it is allowed.

    Power: a field that is off by 1e-11 (more near a pole) at an end of the domain, or over 1/256 of it, in any element.
    """
    objective = case.build()
    placed, x_t = Placed(objective), case.normal(TIMES, *case.spec.shape, dtype=torch.float64)
    field = objective.field(placed)
    first, last = field.domain
    require(0 <= first < 0.25 and 0.75 < last <= 1, f"the field's domain is [{first}, {last}]; expected nearly [0, 1]")
    t, condition = first + (last - first) * torch.linspace(0, 1, TIMES, dtype=torch.float64), case.conditions(TIMES)
    given = placed.velocity(x_t, t)
    found = field.velocity(x_t, t, condition)
    moved = objective.output_for(given + 1, x_t, t) - objective.output_for(given, x_t, t)
    scale = moved.abs().flatten(1).amin(1)
    share = (scale / scale.max()).reshape(-1, *(1,) * (x_t.ndim - 1))
    error = (found - given).abs() * share**2
    negative = "; it is its negative" if largest_difference(-found, given) <= 1e-9 else ""
    if not error.max() <= 1e-12 * given.abs().max().clamp(min=1):
        wrong = (error.flatten(1).amax(1) > 1e-12) | ~found.flatten(1).isfinite().all(1)
        where = f"from t = {t[wrong].min():.4g} to {t[wrong].max():.4g}"
        size = largest_difference(found, given)
        fail(f"the field differs by {size:.1e} from the velocity passed to `output_for`{negative} ({where})")


@contract("objective.condition")
def condition(case: Case) -> None:
    """The loss and the field pass the condition to the backbone unchanged; gentoolkit itself drops conditions.

    Power: any changed condition in any of 64 samples, at times from 0 to 1.
    """
    batch, objective = gaussian_batch(case, 64), case.build()
    _, in_loss = loss_at(case, objective, batch)
    in_field = Placed(objective)
    objective.field(in_field).velocity(batch.x1, torch.linspace(0, 1, 64), batch.condition)
    for name, calls in (("loss", in_loss.calls), ("field", in_field.calls)):
        for _, _, got in calls:
            require(
                equal_or_none(got, batch.condition),
                f"the {name} passes the condition {got} to the backbone; expected {batch.condition}",
            )


@contract("objective.randomness")
def randomness(case: Case) -> None:
    """All randomness comes from `context.generator`: equal generators have equal losses, others have different ones.

    Power: any draw from the global generators of torch, numpy and Python, and any difference between two losses.
    """
    objective, batch = case.build(), gaussian_batch(case, 64)
    with global_randomness_kept():
        a, again, other = (loss_at(case, objective, batch, stream=stream)[0].loss.detach() for stream in (0, 0, 1))
    require(torch.equal(a, again), "the losses for equal generators differ")
    require(not torch.equal(a, other), "the losses for different generators are equal")


@contract("objective.parameters")
def parameters(case: Case) -> None:
    """The objective's own parameters have finite gradients that are not zero, so that they are trained.

    Power: a parameter all of whose elements have zero gradient.
    """
    objective = case.build()
    own = dict(objective.named_parameters()) if isinstance(objective, nn.Module) else {}
    if not own:
        does_not_apply("the objective has no parameters of its own")
    theta = torch.zeros(64, 4, requires_grad=True)
    loss_at(case, objective, gaussian_batch(case, 64), theta)[0].loss.sum().backward()
    dead = [name for name, p in own.items() if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()]
    require(not dead, f"the gradient is missing, zero or not finite for {', '.join(dead)}")
