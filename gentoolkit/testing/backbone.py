"""Contracts for backbones: networks (x_t, t, condition) -> output.

Except for those on shape and names, they use a network with perturbed parameters; see `gentoolkit.testing.networks`.
Contracts on what the output depends on are in `gentoolkit.testing.dependence`.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from gentoolkit.randomness import forked
from gentoolkit.testing.contracts import Case, contract, does_not_apply, fail, require
from gentoolkit.testing.measures import VISIBLE, global_randomness_kept, largest_difference
from gentoolkit.testing.networks import Inputs, inputs_for, output_of, perturbed


def observe(case: Case, backbone: nn.Module) -> dict[str, Tensor]:
    """Return the state that must be equal for two equal backbones."""
    return dict(backbone.state_dict())


@contract("backbone.shape")
def shape(case: Case) -> None:
    """The output of a newly built network has the shape and dtype of x_t and is finite for all t from 0 to 1.

    Power: any wrong shape or dtype for a batch of 1 or 33, and any value that is not finite at one of 33 times.
    """
    backbone = case.build()
    for count in (1, 33):
        inputs = inputs_for(case, count)
        inputs = inputs._replace(t=torch.linspace(0, 1, count))
        output = output_of(backbone, inputs)
        got, expected = (tuple(output.shape), output.dtype), (tuple(inputs.x_t.shape), torch.float32)
        require(got == expected, f"batch size {count}: the output is {got[0]} {got[1]}; expected {expected[0]} float32")
        require(output.isfinite().all(), f"batch size {count}: the output is not finite")


@contract("backbone.batch_independence")
def batch_independence(case: Case) -> None:
    """A sample's output does not depend on the other samples in its batch: the gradients are exactly zero.

    These are the gradients with respect to x_t, t and arrays, in training mode and in eval mode. In eval mode and
    float64, the output for a single sample also equals its output in a batch, to 1e-9 of its size. Batch
    normalization, for example, violates this contract.

    Power: any gradient between two of five samples; a change by 1e-9 with the batch size.
    """
    backbone = perturbed(case)
    for training in (False, True):
        backbone.train(training)
        mode = "training" if training else "eval"
        for i in range(5):
            inputs = inputs_for(case, 5).tracked()
            with forked(case.seed, "dropout"):
                backbone(*inputs)[i].square().sum().backward()
            for name, part in zip(Inputs._fields, inputs, strict=True):
                if part is not None and part.grad is not None:
                    leak = part.grad[[j for j in range(5) if j != i]].abs().max().item()
                    found = f"in {mode} mode, d output[{i}] / d {name} of other samples is {leak:.1e}; expected 0"
                    require(leak == 0, found)
    exact, inputs = backbone.double().eval(), inputs_for(case, 5).to(torch.float64)
    whole = output_of(exact, inputs)
    alone = torch.cat([output_of(exact, inputs.row(i)) for i in range(5)])
    change = largest_difference(alone, whole)
    require(change <= 1e-9, f"the output for a sample changes by {change:.1e} when it is the only one in its batch")


@contract("backbone.gradients")
def gradients(case: Case) -> None:
    """Every trainable parameter has a finite gradient that is not zero: no part of the network is disconnected.

    Gradients are computed in float64, in training mode and in eval mode. A gradient below 1e-12 of the largest one is
    considered rounding error. A bias directly before a normalization layer has such a gradient. It is rejected because
    it can't be distinguished from a disconnected layer, and removing it does not change the output.

    Power: a parameter none of whose elements affects any of eight samples.
    """
    backbone = perturbed(case).double()
    inputs = inputs_for(case, 8).to(torch.float64)
    for training in (False, True):
        backbone.train(training).zero_grad()
        with forked(case.seed, "dropout"):
            output = backbone(*inputs)
        (output * case.normal(*output.shape, draw=2, dtype=torch.float64)).sum().backward()
        trained = {name: p for name, p in backbone.named_parameters() if p.requires_grad}
        sizes = {name: 0.0 if p.grad is None else p.grad.abs().max().item() for name, p in trained.items()}
        mode = "training" if training else "eval"
        infinite = [name for name, size in sizes.items() if not size < float("inf")]
        require(not infinite, f"in {mode} mode the gradient is not finite for {', '.join(infinite)}")
        dead = {name: size for name, size in sizes.items() if size <= 1e-12 * max(sizes.values())}
        require(not dead, f"in {mode} mode the gradient is zero for {', '.join(dead)}{_hint(dead)}")


def _hint(dead: dict[str, float]) -> str:
    """Return the likely cause of gradients that are zero except for rounding."""
    rounded = [name for name, size in dead.items() if size > 0]
    if not rounded:
        return ""
    return (
        f"; for {', '.join(rounded)} it is zero except for rounding. Is this a bias before a normalization layer, "
        'which subtracts it again? Remove it (bias=False), or declare expected_failures={"backbone.gradients": "..."}'
    )


@contract("backbone.state_dict")
def state_dict(case: Case) -> None:
    """The state dict is complete: loading it strictly into a network with another seed makes the outputs equal.

    Power: any difference of the output for three samples.
    """
    backbone, other = perturbed(case), case.build(seed=1).eval()
    other.load_state_dict(backbone.state_dict(), strict=True)
    error = largest_difference(output_of(other, inputs_for(case)), output_of(backbone, inputs_for(case)))
    require(error == 0, f"the output changes by {error:.1e} when the state dict is loaded into another network")


@contract("backbone.float64")
def float64(case: Case) -> None:
    """With float64 parameters and inputs, everything is computed in float64, including the embedding of t.

    The difference quotient with h = 1e-7 must agree with the gradient to 1 %. Its rounding error is about 1e-16 / h =
    1e-9 in float64, but about 1e-7 / h if one operation is computed in float32.

    Power: a single float32 operation that affects more than 1 % of the slope with respect to x_t, t or a vector.
    """
    backbone, inputs = perturbed(case).double(), inputs_for(case).to(torch.float64)
    output = output_of(backbone, inputs)
    require(output.dtype == torch.float64, f"the output for float64 weights and inputs is {output.dtype}")
    weights = case.normal(*output.shape, draw=2, dtype=torch.float64)
    for name, part in inputs._asdict().items():
        if part is None or not part.is_floating_point():
            continue
        at = part.clone().requires_grad_()
        value = (backbone(*inputs._replace(**{name: at})) * weights).sum()
        (slope,) = torch.autograd.grad(value, at, allow_unused=True)
        if slope is None or not slope.any():
            continue  # covered by another contract
        direction, h = slope / slope.norm(), 1e-7
        moved = output_of(backbone, inputs._replace(**{name: at.detach() + h * direction}))
        quotient = ((moved - output) * weights).sum().item() / h
        expected = slope.norm().item()
        require(
            abs(quotient - expected) <= 0.01 * expected,
            f"something is computed in float32: the gradient with respect to {name} is {expected:.3e}, but the "
            f"difference quotient is {quotient:.3e}",
        )


@contract("backbone.deepcopy")
def deepcopy(case: Case) -> None:
    """`copy.deepcopy` returns an equal network that shares no memory with the original, as EMA and teachers require.

    Power: a single shared parameter or buffer that affects the output.
    """
    backbone = perturbed(case)
    twin = copy.deepcopy(backbone)
    before = output_of(backbone, inputs_for(case))
    require(torch.equal(output_of(twin, inputs_for(case)), before), "the copy has a different output")
    with torch.no_grad():
        for tensor in (*twin.parameters(), *twin.buffers()):
            tensor.zero_()
    require(torch.equal(output_of(backbone, inputs_for(case)), before), "the copy shares parameters with the original")


@contract("backbone.inputs_kept")
def inputs_kept(case: Case) -> None:
    """x_t, t and the condition are not modified, in training mode or in eval mode.

    Power: any change of any element.
    """
    backbone, inputs = perturbed(case), inputs_for(case)
    for training in (False, True):
        with forked(case.seed, "dropout"):
            output_of(backbone.train(training), inputs)
        for name, now, given in zip(Inputs._fields, inputs, inputs_for(case), strict=True):
            require(now is None or given is None or torch.equal(now, given), f"{name} is modified")


@contract("backbone.eval_repeatable")
def eval_repeatable(case: Case) -> None:
    """In eval mode, equal inputs have equal outputs, and no global random generator is used.

    Power: any difference, and any draw.
    """
    backbone, inputs = perturbed(case), inputs_for(case)
    with global_randomness_kept():
        first, second = output_of(backbone, inputs), output_of(backbone, inputs)
    require(torch.equal(first, second), f"the output differs by {largest_difference(first, second):.1e} in eval mode")


@contract("backbone.compile")
def compiles(case: Case) -> None:
    """`torch.compile(fullgraph=True, backend="eager")` works and does not change the output.

    The output may change by 1e-6 of its size: this backend runs the same operations, but may fold constants in a
    different way.

    Power: a change of 1e-6 for three samples in eval mode.
    """
    backbone, inputs = perturbed(case), inputs_for(case)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's warnings about its own internals
        torch.compiler.reset()
        try:
            compiled = torch.compile(backbone, fullgraph=True, backend="eager")(*inputs)
        except Exception as fault:
            fail(f"it can't be traced as one graph: {type(fault).__name__}: {str(fault).partition(chr(10))[0]}")
        finally:
            torch.compiler.reset()
    error = largest_difference(compiled, output_of(backbone, inputs))
    require(error <= 1e-6, f"the compiled network's output differs by {error:.1e}; expected at most 1e-6")


@contract("backbone.matrix_blocks")
def matrix_blocks(case: Case) -> None:
    """`matrix_blocks` names parameters with two axes; each number of blocks divides the number of rows.

    Power: any invalid name or number.
    """
    backbone = case.build()
    has_it = hasattr(backbone, "matrix_blocks")
    require(has_it, "the backbone has no method matrix_blocks(); return {} if it has no weights for a matrix optimizer")
    parameters = dict(backbone.named_parameters())
    for name, blocks in backbone.matrix_blocks().items():
        require(name in parameters, f"matrix_blocks names {name!r}, which is not a parameter")
        size = tuple(parameters[name].shape)
        require(len(size) == 2, f"matrix_blocks names {name!r} of shape {size}; expected two axes")
        divides = blocks >= 1 and size[0] % blocks == 0
        require(divides, f"{name!r} has {size[0]} rows, which can't be split into {blocks} equal blocks")


@contract("backbone.tokens")
def tokens(case: Case) -> None:
    """In token backbones, `patches` has each element once, and all tokens in any order reproduce the output.

    To 1e-5 of its size, because the order in which attention sums over tokens changes float32 values by about 1e-7 per
    layer.

    Power: a change of 1e-5 in any element of three samples.
    """
    backbone: Any = perturbed(case)
    inputs = inputs_for(case)
    if "tokens" not in case.config.offers():
        does_not_apply('the config does not offer "tokens"; the backbone computes only whole samples')
    numbered = torch.arange(float(inputs.x_t[0].numel())).reshape(1, *inputs.x_t.shape[1:])
    elements = backbone.patches(numbered).flatten().sort().values
    require(torch.equal(elements, numbered.flatten()), "patches(x) does not contain each element of x exactly once")
    whole = backbone.patches(output_of(backbone, inputs))
    order = case.normal(*whole.shape[:2]).argsort(dim=1)
    with torch.no_grad():
        got = backbone(*inputs, order)
    expected = whole.take_along_dim(order[..., None], dim=1)
    found = f"the output for tokens has shape {tuple(got.shape)}; expected {tuple(expected.shape)}"
    require(got.shape == expected.shape, found)
    error = largest_difference(got, expected) / whole.abs().max().item()
    require(error <= 1e-5, f"for all tokens in another order, the output differs by {error:.1e} of its size")


@contract("backbone.second_time")
def second_time(case: Case) -> None:
    """If the config offers "second_time", the output depends on it, finitely, for each sample on its own second time.

    Built with `needs={"second_time"}`; at 17 second times from 0 to 1, in float64.

    Power: two neighboring second times with the same output; any gradient between samples.
    """
    if "second_time" not in case.config.offers():
        does_not_apply('the config does not offer "second_time"')
    backbone: Any = perturbed(case, needs={"second_time"}).double()
    inputs = inputs_for(case, 1).to(torch.float64)
    repeated: list[Any] = [None if part is None else part.expand(17, *part.shape[1:]) for part in inputs]
    times = torch.linspace(0, 1, 17, dtype=torch.float64).requires_grad_()
    output = backbone(*repeated, second_time=times)
    require(output.shape == repeated[0].shape, f"the output has shape {tuple(output.shape)}")
    require(output.isfinite().all(), "the output is not finite")
    change = output.detach().diff(dim=0).abs().flatten(1).amax(1)
    require((change > VISIBLE * output.abs().max()).all(), "the output does not depend on the second time")
    (leak,) = torch.autograd.grad(output[0].square().sum(), times)
    require(not leak[1:].any(), "the output of a sample depends on the second time of others")


@contract("backbone.forward_derivatives")
def forward_derivatives(case: Case) -> None:
    """If the config offers "forward_derivatives", `torch.func.jvp` gives the derivative, and training can use it.

    Built with `needs={"forward_derivatives"}` and, if offered, a second time. In float64, the derivative along a random
    direction of x_t and t must equal a central difference quotient with h = 1e-4, whose error is of order h², to 1e-5
    of its size. In training mode, a loss with the derivative in its target must have a finite gradient, not zero.

    Power: a derivative that is off by 1e-5; a gradient that is missing for all parameters.
    """
    offered = {*case.config.offers()}
    if "forward_derivatives" not in offered:
        does_not_apply('the config does not offer "forward_derivatives"')
    backbone: Any = perturbed(case, needs={"forward_derivatives", "second_time"} & offered).double().train()
    inputs = inputs_for(case).to(torch.float64)
    options = {"second_time": inputs.t + 0.1} if "second_time" in offered else {}

    def function(x: Tensor, t: Tensor) -> Tensor:
        with forked(case.seed, "dropout"):
            output: Tensor = backbone(x, t, inputs.condition, **options)
        return output

    at, h = (inputs.x_t, inputs.t), 1e-4
    direction = tuple(case.normal(*part.shape, draw=4, dtype=torch.float64) for part in at)
    value, derivative = torch.func.jvp(function, at, direction)[:2]
    with torch.no_grad():
        ends = [function(*(p + sign * h * d for p, d in zip(at, direction, strict=True))) for sign in (1, -1)]
    error = largest_difference(derivative, (ends[0] - ends[1]) / (2 * h)) / derivative.abs().max().item()
    require(error <= 1e-5, f"the derivative differs from the difference quotient by {error:.1e} of its size")
    (value - derivative.detach()).square().sum().backward()
    sizes = [0.0 if p.grad is None else p.grad.abs().max().item() for p in backbone.parameters()]
    require(
        0 < max(sizes) < float("inf"), "the gradient of a loss with the derivative in its target is zero or infinite"
    )
