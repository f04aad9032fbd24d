"""The contracts of backbones: networks (x_t, t, condition) -> output.

All but those on shape and names look at a network whose parameters are perturbed; see `gentoolkit.testing.networks`.
`gentoolkit.testing.dependence` has those on what the output depends on.
"""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor, nn

from gentoolkit.protocols import TokenBackbone
from gentoolkit.randomness import forked
from gentoolkit.testing.contracts import Case, contract, does_not_apply, fail, require
from gentoolkit.testing.measures import global_randomness_kept, largest_difference
from gentoolkit.testing.networks import Inputs, inputs_for, output_of, perturbed


def observe(case: Case, backbone: nn.Module) -> dict[str, Tensor]:
    """Return what tells two backbones apart."""
    return dict(backbone.state_dict())


@contract("backbone.shape")
def shape(case: Case) -> None:
    """The output has the shape and dtype of x_t and is finite, fresh from the factory, at all t, 0 and 1 included.

    Power: any other shape or dtype for a batch of 1 or 33, and any value that is not finite at one of 33 times.
    """
    backbone = case.build()
    for count in (1, 33):
        inputs = inputs_for(case, count)
        inputs = inputs._replace(t=torch.linspace(0, 1, count))
        output = output_of(backbone, inputs)
        got, expected = (tuple(output.shape), output.dtype), (tuple(inputs.x_t.shape), torch.float32)
        require(got == expected, f"a batch of {count}: the output is {got[0]} {got[1]}; expected {expected[0]} float32")
        require(output.isfinite().all(), f"a batch of {count}: the output is not finite")


@contract("backbone.batch_independence")
def batch_independence(case: Case) -> None:
    """A sample's output does not depend on the other samples in its batch: these gradients are exactly zero.

    With respect to x_t, t and vectors, in training mode and in eval mode; and in eval mode a sample alone gives what it
    gives in a batch, to 1e-9 of its size in float64. A batch norm breaks it, for one.

    Power: any gradient between two of five samples; a change by 1e-9 with the size of the batch.
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
                    told = f"in {mode} mode, d output[{i}] / d {name} of other samples is {leak:.1e}, not 0"
                    require(leak == 0, told)
    exact, inputs = backbone.double().eval(), inputs_for(case, 5).to(torch.float64)
    whole = output_of(exact, inputs)
    alone = torch.cat([output_of(exact, inputs.row(i)) for i in range(5)])
    change = largest_difference(alone, whole)
    require(change <= 1e-9, f"a sample's output changes by {change:.1e} when it is alone in its batch")


@contract("backbone.gradients")
def gradients(case: Case) -> None:
    """Every trained parameter gets a finite gradient that is not zero: no part of the network is cut off.

    In training mode and in eval mode, computed in float64; below 1e-12 of the largest gradient it is rounding, not a
    gradient. A bias before a norm has such a gradient. It is refused, as nothing tells it from a layer that is cut off,
    and leaving it out changes no output.

    Power: a parameter all of whose elements are without effect on any of eight samples.
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
    """Return the likely cause where a gradient is zero but for rounding."""
    rounded = [name for name, size in dead.items() if size > 0]
    if not rounded:
        return ""
    return (
        f"; that of {', '.join(rounded)} is zero but for rounding: is it a bias before a norm, which subtracts it "
        'again? Leave it out (bias=False), or declare expected_failures={"backbone.gradients": "..."}'
    )


@contract("backbone.state_dict")
def state_dict(case: Case) -> None:
    """The state dict holds everything: loaded strictly into a build with another seed, it gives equal output.

    Power: any difference of the output for three samples.
    """
    backbone, other = perturbed(case), case.build(seed=1).eval()
    other.load_state_dict(backbone.state_dict(), strict=True)
    error = largest_difference(output_of(other, inputs_for(case)), output_of(backbone, inputs_for(case)))
    require(error == 0, f"the output changes by {error:.1e} when the state dict is loaded into another build")


@contract("backbone.float64")
def float64(case: Case) -> None:
    """In float64 all is computed in float64, the embedding of t too: the output's slope by x_t and t is smooth.

    A difference quotient with h = 1e-7 must agree to 1 % with the gradient. Float64 rounds it by about 1e-16 / h =
    1e-9; one step in float32 by about 1e-7 / h, which is all of it.

    Power: a single step in float32 on the way of more than 1 % of the slope by x_t, by t or by a vector.
    """
    backbone, inputs = perturbed(case).double(), inputs_for(case).to(torch.float64)
    output = output_of(backbone, inputs)
    require(output.dtype == torch.float64, f"float64 weights and inputs give {output.dtype}")
    weights = case.normal(*output.shape, draw=2, dtype=torch.float64)
    for name, part in inputs._asdict().items():
        if part is None or not part.is_floating_point():
            continue
        at = part.clone().requires_grad_()
        value = (backbone(*inputs._replace(**{name: at})) * weights).sum()
        (slope,) = torch.autograd.grad(value, at, allow_unused=True)
        if slope is None or not slope.any():
            continue  # another contract's matter
        direction, h = slope / slope.norm(), 1e-7
        moved = output_of(backbone, inputs._replace(**{name: at.detach() + h * direction}))
        quotient = ((moved - output) * weights).sum().item() / h
        expected = slope.norm().item()
        require(
            abs(quotient - expected) <= 0.01 * expected,
            f"something is computed in float32: the slope by {name} is {expected:.3e}, its quotient {quotient:.3e}",
        )


@contract("backbone.deepcopy")
def deepcopy(case: Case) -> None:
    """`copy.deepcopy` gives an equal network that shares no memory with the first: EMA and teachers need it.

    Power: a single parameter or buffer that is shared and that the output depends on.
    """
    backbone = perturbed(case)
    twin = copy.deepcopy(backbone)
    before = output_of(backbone, inputs_for(case))
    require(torch.equal(output_of(twin, inputs_for(case)), before), "the copy gives another output")
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
    """In eval mode the same inputs give the same output twice, and no global random generator is used.

    Power: any difference, and any draw.
    """
    backbone, inputs = perturbed(case), inputs_for(case)
    with global_randomness_kept():
        first, second = output_of(backbone, inputs), output_of(backbone, inputs)
    require(torch.equal(first, second), f"the output differs by {largest_difference(first, second):.1e} in eval mode")


@contract("backbone.compile")
def compiles(case: Case) -> None:
    """`torch.compile(fullgraph=True, backend="eager")` works and gives an equal output.

    To 1e-6 of its size: that backend runs the same operations, only constants may be folded in another way.

    Power: a change of 1e-6 for three samples in eval mode.
    """
    backbone, inputs = perturbed(case), inputs_for(case)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's own, about itself
        torch.compiler.reset()
        try:
            compiled = torch.compile(backbone, fullgraph=True, backend="eager")(*inputs)
        except Exception as fault:
            fail(f"it can't be traced as one graph: {type(fault).__name__}: {str(fault).partition(chr(10))[0]}")
        finally:
            torch.compiler.reset()
    error = largest_difference(compiled, output_of(backbone, inputs))
    require(error <= 1e-6, f"the compiled network's output is {error:.1e} off; expected at most 1e-6")


@contract("backbone.matrix_blocks")
def matrix_blocks(case: Case) -> None:
    """`matrix_blocks` names parameters that are matrices, with numbers of blocks that divide their rows.

    Power: any name or number that does not fit.
    """
    backbone = case.build()
    has_it = hasattr(backbone, "matrix_blocks")
    require(has_it, "it has no method matrix_blocks(); without a weight for a matrix optimizer, return {}")
    parameters = dict(backbone.named_parameters())
    for name, blocks in backbone.matrix_blocks().items():
        require(name in parameters, f"matrix_blocks names {name!r}, which is no parameter")
        size = tuple(parameters[name].shape)
        require(len(size) == 2, f"matrix_blocks names {name!r} of shape {size}; expected two axes")
        require(blocks >= 1 and size[0] % blocks == 0, f"{name!r} has {size[0]} rows, which {blocks} does not divide")


@contract("backbone.tokens")
def tokens(case: Case) -> None:
    """Where it computes subsets: `patches` holds each element once, and all tokens in any order give the whole output.

    To 1e-5 of its size: the order in which an attention sums over tokens moves float32 by about 1e-7 a layer.

    Power: a change of 1e-5 in any element of three samples.
    """
    backbone, inputs = perturbed(case), inputs_for(case)
    if not isinstance(backbone, TokenBackbone):
        does_not_apply("it has no method patches(): it computes whole samples only")
    numbered = torch.arange(float(inputs.x_t[0].numel())).reshape(1, *inputs.x_t.shape[1:])
    elements = backbone.patches(numbered).flatten().sort().values
    require(torch.equal(elements, numbered.flatten()), "patches(x) does not hold each element of x once")
    whole = backbone.patches(output_of(backbone, inputs))
    order = case.normal(*whole.shape[:2]).argsort(dim=1)
    with torch.no_grad():
        got = backbone(*inputs, order)
    expected = whole.take_along_dim(order[..., None], dim=1)
    require(got.shape == expected.shape, f"tokens give {tuple(got.shape)}; expected {tuple(expected.shape)}")
    error = largest_difference(got, expected) / whole.abs().max().item()
    require(error <= 1e-5, f"all tokens in another order are {error:.1e} of its size off the whole output")
