"""Contracts on the dependence of a backbone's output on every time, every element and every condition.

They compute in float64, where the effect of any input that is used is far larger than rounding errors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gentoolkit.api import Array, Labels
from gentoolkit.testing.contracts import MOST_SAMPLES, Case, contract, does_not_apply, require
from gentoolkit.testing.measures import VISIBLE
from gentoolkit.testing.networks import Inputs, inputs_for, output_of, perturbed

#: Number of times from 0 to 1, both included. The output must change between neighbors.
FINE = 129
#: Number of times from 0 to 1, both included, at which the other contracts evaluate the output.
COARSE = 17


def _times(count: int) -> Tensor:
    return torch.linspace(0, 1, count, dtype=torch.float64)


def _one_sample(case: Case, t: Tensor, condition: Tensor | None) -> Inputs:
    """Return inputs with the same x_t for every element of t."""
    return Inputs(case.normal(*case.spec.shape, dtype=torch.float64).expand(len(t), *case.spec.shape), t, condition)


@contract("backbone.time")
def time(case: Case) -> None:
    """The output depends on t everywhere: it changes between neighbors of 129 times from 0 to 1, both included.

    The change must exceed 1e-6 of the output's size, for each condition (17 at most).

    Power: an interval of length 1/64 in which t is ignored; 1/128 at both ends.
    """
    backbone, t = perturbed(case).double(), _times(FINE)
    given = case.conditions(COARSE)
    conditions = [None] if given is None else list(given.unique(dim=0))
    for condition in conditions:
        repeated = None if condition is None else condition.expand(FINE, *condition.shape)
        output = output_of(backbone, _one_sample(case, t, repeated).to(torch.float64)).flatten(1)
        change = (output[1:] - output[:-1]).norm(dim=1) / output.norm(dim=1).max()
        (still,) = (change <= VISIBLE).nonzero(as_tuple=True)
        for i in still[:1].tolist():
            found = f"the output changes by {change[i]:.1e} of its size between t = {t[i]:.4f} and t = {t[i + 1]:.4f}"
            where = "" if condition is None else f" for the condition {condition.tolist()}"
            require(False, f"{found}{where}; expected more than {VISIBLE}")


@contract("backbone.elements")
def elements(case: Case) -> None:
    """Every element of x_t and of an array affects the output, and every element of the output depends on x_t.

    At each of 17 times from 0 to 1, both included, the gradient of a random projection of the output with respect to
    each element of the input, and the deviation of each element of the output over eight x_t, must exceed 1e-6 of the
    largest.

    Power: a single element with no effect, or with an effect below 1e-6 of the others, in 1/16 of the times.
    """
    backbone, count = perturbed(case).double(), 8
    for t in _times(COARSE):
        inputs = inputs_for(case, count).to(torch.float64)._replace(t=t.expand(count)).tracked()
        output = backbone(*inputs)
        (output * case.normal(*output.shape, draw=2, dtype=torch.float64)).sum().backward()
        sizes = {f"element {{}} of {name}": gradient.abs() for name, gradient in _gradients(inputs)}
        moved = output_of(backbone, _same_condition(inputs))
        sizes["element {} of the output, which does not depend on x_t,"] = (moved - moved.mean(0)).abs()
        for name, size in sizes.items():
            largest = size.amax(0)
            (weak,) = (largest.flatten() <= VISIBLE * largest.max()).nonzero(as_tuple=True)
            require(not len(weak), f"at t = {t:.4g}, {name.format(weak[:8].tolist())} (flattened) has no effect")


def _gradients(inputs: Inputs) -> list[tuple[str, Tensor]]:
    parts = {"x_t": inputs.x_t, "the condition": inputs.condition}
    tracked = {name: part for name, part in parts.items() if part is not None and part.requires_grad}
    return [(name, torch.zeros_like(part) if part.grad is None else part.grad) for name, part in tracked.items()]


def _same_condition(inputs: Inputs) -> Inputs:
    """Return the inputs with the first sample's condition for all samples."""
    c = inputs.condition
    return inputs._replace(condition=c if c is None else c[:1].expand_as(c))


@contract("backbone.condition")
def condition(case: Case) -> None:
    """The output depends on the condition: it differs between any two labels, or two of 16 arrays, at all times.

    It must differ by more than 1e-6 of its size at each of 17 times from 0 to 1, both included. If there are more than
    1,024 labels, the first 1,024 are checked.

    Power: two labels with the same output in 1/16 of the times.
    """
    match case.spec.condition:
        case Labels(num_classes):
            given = torch.arange(min(num_classes, MOST_SAMPLES))
        case Array(shape):
            given = case.normal(16, *shape, draw=3)
        case None:
            does_not_apply("tiny_spec has no condition")
    _need_distinct(case, perturbed(case), given)


@contract("backbone.null_condition")
def null_condition(case: Case) -> None:
    """If training drops conditions, the null label `num_classes` (or an array of zeros) is an additional condition.

    Guidance needs it: it must be accepted in a batch with other conditions, and have a different output.

    Power: as for `backbone.condition`.
    """
    spec = case.spec.with_droppable_condition()
    if spec.condition is None:
        does_not_apply("tiny_spec has no condition")
    if problems := [problem.message for problem in case.config.check(spec)]:
        does_not_apply(f"the config does not support dropped conditions: {problems[0]}")
    if isinstance(spec.condition, Array):
        given = case.normal(3, *spec.condition.shape)
    else:  # the last ones, however many there are
        given = torch.arange(max(0, spec.condition.num_classes - MOST_SAMPLES + 1), spec.condition.num_classes)
    _need_distinct(case, perturbed(case, spec), torch.cat([given, spec.condition.null_like(given[:1])]))


def _need_distinct(case: Case, backbone: nn.Module, conditions: Tensor) -> None:
    """Require a finite output, and one that differs between any two conditions, at all times."""
    count, backbone = len(conditions), backbone.double()
    for t in _times(COARSE):
        output = output_of(backbone, _one_sample(case, t.expand(count), conditions).to(torch.float64)).flatten(1)
        require(output.isfinite().all(), f"at t = {t:.4g} the output is not finite for {conditions.tolist()}")
        between = torch.cdist(output, output, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(torch.inf)
        change = (between.min() / output.norm(dim=1).max()).item()
        i, j = sorted(divmod(int(between.argmin()), count))
        pair = f"the conditions {conditions[i].tolist()} and {conditions[j].tolist()}"
        found = f"at t = {t:.4g} the output changes by {change:.1e} of its size between {pair}"
        require(change > VISIBLE, f"{found}; expected more than {VISIBLE}")
