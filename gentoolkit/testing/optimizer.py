"""Contracts for optimizers, on the quadratic sum of (w - w*)² / 2, whose gradient is w - w*."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gentoolkit.protocols import Optimizer, TrainedParameter
from gentoolkit.states import flattened, load_exactly, rebuilt
from gentoolkit.testing.contracts import Case, contract, require
from gentoolkit.testing.measures import global_randomness_kept, largest_difference

#: Name -> shape, and number of blocks for a matrix optimizer: matrices, vectors, a kernel and a scalar.
SHAPES = {
    "backbone.first.weight": ((6, 4), 1),
    "backbone.first.bias": ((6,), 0),
    "backbone.qkv.weight": ((12, 4), 3),
    "backbone.kernel": ((3, 2, 2, 2), 0),
    "backbone.last.weight": ((4, 6), 1),
    "objective.log_weight": ((), 0),
}
#: Number of steps of most contracts.
STEPS = 20


def made(case: Case, dtype: torch.dtype = torch.float32) -> tuple[TrainedParameter, ...]:
    """Return new parameters near 0."""
    return tuple(
        TrainedParameter(name, nn.Parameter(0.1 * case.normal(*shape, draw=draw, dtype=dtype)), blocks, dtype)
        for draw, (name, (shape, blocks)) in enumerate(SHAPES.items())
    )


def arguments(case: Case) -> dict[str, Any]:
    """Return the arguments of the factory."""
    return {"parameters": made(case)}


def _goal(case: Case, part: TrainedParameter) -> Tensor:
    """Return w*, whose elements are at least 1 away from 0."""
    draw = case.normal(*part.parameter.shape, draw=50 + [*SHAPES].index(part.name), dtype=part.parameter.dtype)
    return draw + draw.sign()


def _descend(case: Case, optimizer: Optimizer, parts: Sequence[TrainedParameter], steps: int = STEPS) -> None:
    """Take steps as the training loop does."""
    for _ in range(steps):
        for part in parts:
            part.parameter.grad = part.parameter.detach() - _goal(case, part)
        optimizer.step()
        for part in parts:
            part.parameter.grad = None


def _weights(parts: Iterable[TrainedParameter]) -> dict[str, Tensor]:
    return {part.name: part.parameter.detach().clone() for part in parts}


def _run(case: Case, steps: int = STEPS) -> tuple[tuple[TrainedParameter, ...], Optimizer]:
    parts = made(case)
    optimizer = case.build(parameters=parts)
    _descend(case, optimizer, parts, steps)
    return parts, optimizer


def observe(case: Case, optimizer: Optimizer) -> dict[str, Tensor]:
    """Return what must be equal for two equal optimizers: the parameters after some steps."""
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for _ in range(3):
        for parameter in held:
            parameter.grad = parameter.detach() - 1
        optimizer.step()
    return {f"parameter {index}": parameter.detach() for index, parameter in enumerate(held)}


@contract("optimizer.groups")
def groups(case: Case) -> None:
    """`param_groups` holds each parameter exactly once, and each group has a learning rate above 0.

    Power: any missing or repeated parameter; any missing learning rate.
    """
    parts = made(case)
    optimizer = case.build(parameters=parts)
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    for part in parts:
        count = held.count(id(part.parameter))
        require(count == 1, f"param_groups contains the parameter {part.name} {count} times; expected once")
    require(len(held) == len(parts), f"param_groups contains {len(held)} parameters; expected {len(parts)}")
    rates = [group.get("lr") for group in optimizer.param_groups]
    valid = all(isinstance(rate, float | int) and rate > 0 for rate in rates)
    require(valid, f'the learning rates "lr" of the groups are {rates}; expected numbers above 0')


@contract("optimizer.descent")
def descent(case: Case) -> None:
    """Twenty steps on a quadratic bring every parameter closer to the minimum, in float32 and float64.

    The weights keep their dtype and stay finite. The distance of each element is at least 0.5 at the start, so the
    learning rate of the tiny config must not be so high that a step overshoots.

    Power: any parameter that is not updated or moves away; any weight that changes its dtype.
    """
    for dtype in (torch.float32, torch.float64):
        parts = made(case, dtype)
        start, optimizer = _weights(parts), case.build(parameters=parts)
        _descend(case, optimizer, parts)
        for part in parts:
            now, goal = part.parameter.detach(), _goal(case, part)
            require(now.dtype == dtype, f"{part.name} changes from {dtype} to {now.dtype}")
            before, after = ((weights - goal).norm().item() for weights in (start[part.name], now))
            closer = f"the distance of {part.name} from the minimum goes from {before:.6g} to {after:.6g}"
            require(after < before, f"{closer} in {STEPS} steps with {dtype}; expected a decrease")


@contract("optimizer.gradients")
def gradients(case: Case) -> None:
    """Only parameters with a gradient change, also if others had one before.

    Power: any change of a parameter whose gradient is None.
    """
    for name in SHAPES:
        parts = made(case)
        optimizer = case.build(parameters=parts)
        others = [part for part in parts if part.name != name]
        for trained in (others, parts, others):
            before = _weights(parts)
            _descend(case, optimizer, trained, 1)
            now = _weights(parts)
            kept = trained is parts or torch.equal(now[name], before[name])
            require(kept, f"{name} changes although its gradient is None")


@contract("optimizer.zero_rate")
def zero_rate(case: Case) -> None:
    """With a learning rate of 0 no weight changes: each step uses the "lr" of `param_groups`.

    Power: any change of any weight, at the first step or after others.
    """
    parts = made(case)
    optimizer = case.build(parameters=parts)
    peaks = [group["lr"] for group in optimizer.param_groups]
    for share in (0.0, 1.0, 0.0):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = share * peak
        before = _weights(parts)
        _descend(case, optimizer, parts, 2)
        changed = [name for name, weights in _weights(parts).items() if not torch.equal(weights, before[name])]
        require(share > 0 or not changed, f"with a learning rate of 0, {', '.join(changed)} changes")


@contract("optimizer.randomness")
def randomness(case: Case) -> None:
    """A step uses no random numbers and depends only on the gradients and the state.

    Power: any difference between two runs; any draw from the global generators.
    """
    with global_randomness_kept():
        (first, _), (second, _) = _run(case), _run(case)
    for name, weights in _weights(first).items():
        require(torch.equal(weights, _weights(second)[name]), f"{name} differs between two equal runs")


@contract("optimizer.state")
def state(case: Case) -> None:
    """`state_dict` and `load_state_dict` carry the whole state, so that a resumed run equals an uninterrupted one.

    The state of one optimizer is loaded by a new one, as a resumed run does: its tensors from a file, everything else
    as JSON. Both then take the same steps.

    Power: any difference of any weight or dtype, after 1, 2 or 20 steps, and with a parameter without gradients.
    """
    for steps, left_out in ((1, 0), (2, 1), (STEPS, 0)):
        parts = made(case)
        optimizer = case.build(parameters=parts)
        _descend(case, optimizer, parts[left_out:], steps)
        tensors, numbers = flattened(optimizer.state_dict())
        saved = rebuilt({name: tensor.clone() for name, tensor in tensors.items()}, json.loads(json.dumps(numbers)))
        copies = made(case)
        for part, copied in zip(parts, copies, strict=True):
            copied.parameter.data.copy_(part.parameter.detach())
        resumed = case.build(parameters=copies)
        load_exactly(resumed, saved)
        for one, held in ((optimizer, parts), (resumed, copies)):
            _descend(case, one, held, 3)
        for name, weights in _weights(parts).items():
            same = torch.equal(weights, _weights(copies)[name])
            require(same, f"{name} differs in a run that is resumed after step {steps} from an uninterrupted one")


@contract("optimizer.order")
def order(case: Case) -> None:
    """The order of the parameters makes no difference but rounding.

    Power: a relative difference of 1e-9 in float64.
    """
    results = []
    for step in (1, -1):
        parts = made(case, torch.float64)[::step]
        _descend(case, case.build(parameters=parts), parts)
        results.append(_weights(parts))
    for name, weights in results[0].items():
        error = largest_difference(weights, results[1][name])
        require(error <= 1e-9, f"{name} differs by {error:.1e} when the parameters are given in reverse order")
