"""The contracts of backbones: networks (x_t, t, condition) -> output.

All but those on shape and names look at a network whose parameters are perturbed; see `gentoolkit.testing.networks`.
"""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor, nn

from gentoolkit.api import Labels, Vectors
from gentoolkit.protocols import TokenBackbone
from gentoolkit.randomness import forked
from gentoolkit.testing.contracts import Case, contract, does_not_apply, fail, require
from gentoolkit.testing.measures import global_randomness_kept, largest_difference
from gentoolkit.testing.networks import Inputs, inputs_for, output_of, perturbed

#: A change of the output below this share of its size trains as if it were none: float32 resolves 1e-7 of it.
VISIBLE = 1e-6


def observe(case: Case, backbone: nn.Module) -> dict[str, Tensor]:
    """Return what tells two backbones apart."""
    return dict(backbone.state_dict())


@contract("backbone.shape")
def shape(case: Case) -> None:
    """The output has the shape and dtype of x_t, for a batch of 1 and of 3, and is finite, fresh from the factory."""
    backbone = case.build()
    for count in (1, 3):
        inputs = inputs_for(case, count)
        output = output_of(backbone, inputs)
        got, expected = (tuple(output.shape), output.dtype), (tuple(inputs.x_t.shape), torch.float32)
        require(got == expected, f"a batch of {count}: the output is {got[0]} {got[1]}; expected {expected[0]} float32")
        require(output.isfinite().all(), f"a batch of {count}: the output is not finite")


@contract("backbone.batch_independence")
def batch_independence(case: Case) -> None:
    """A sample's output does not depend on the other samples in its batch: these gradients are exactly zero.

    By x_t and by t, in training mode as well as in eval mode. A batch norm breaks it, for one.
    """
    backbone = perturbed(case)
    for training in (False, True):
        backbone.train(training)
        for i in range(3):
            x_t, t, condition = inputs_for(case)
            x_t, t = x_t.requires_grad_(), t.requires_grad_()
            with forked(case.seed, "dropout"):
                backbone(x_t, t, condition)[i].square().sum().backward()
            for name, gradient in (("x_t", x_t.grad), ("t", t.grad)):
                if gradient is not None:
                    others = [j for j in range(3) if j != i]
                    leak = gradient[others].abs().max().item()
                    mode = "training" if training else "eval"
                    require(
                        leak == 0, f"in {mode} mode, d output[{i}] / d {name} of other samples is {leak:.1e}, not 0"
                    )


@contract("backbone.gradients")
def gradients(case: Case) -> None:
    """Every trained parameter gets a finite gradient that is not zero: no part of the network is cut off.

    Computed in float64; below 1e-12 of the largest gradient it is rounding, not a gradient.
    """
    backbone = perturbed(case).double()
    inputs = inputs_for(case, 8).to(torch.float64)
    output = backbone(*inputs)
    (output * case.normal(*output.shape, draw=2, dtype=torch.float64)).sum().backward()
    trained = {name: p for name, p in backbone.named_parameters() if p.requires_grad}
    sizes = {name: 0.0 if p.grad is None else p.grad.abs().max().item() for name, p in trained.items()}
    infinite = [name for name, size in sizes.items() if not size < float("inf")]
    require(not infinite, f"the gradient is not finite for {', '.join(infinite)}")
    dead = [name for name, size in sizes.items() if size <= 1e-12 * max(sizes.values())]
    require(not dead, f"the gradient is zero for {', '.join(dead)}")


def _need_change(a: Tensor, b: Tensor, what: str) -> None:
    """Require a visible difference for every sample."""
    change = ((a - b).flatten(1).norm(dim=1) / b.flatten(1).norm(dim=1)).min().item()
    require(change > VISIBLE, f"the output changes by {change:.1e} of its size between {what}; expected over {VISIBLE}")


@contract("backbone.time")
def time(case: Case) -> None:
    """The output depends on t."""
    backbone, inputs = perturbed(case), inputs_for(case)
    early, late = (output_of(backbone, inputs._replace(t=torch.full((3,), t))) for t in (0.25, 0.75))
    _need_change(early, late, "t = 0.25 and t = 0.75")


@contract("backbone.condition")
def condition(case: Case) -> None:
    """The output depends on the condition: any two labels, or two vectors, give different outputs."""
    given = case.conditions(16)
    if given is None:
        does_not_apply("its tiny_spec has no condition")
    _need_distinct(perturbed(case), inputs_for(case, 1), given.unique(dim=0))


def _need_distinct(backbone: nn.Module, inputs: Inputs, conditions: Tensor) -> None:
    """Require a visible difference of the output between any two conditions."""
    outputs = [output_of(backbone, inputs._replace(condition=c[None])) for c in conditions]
    for i, a in enumerate(outputs):
        for j, b in enumerate(outputs[:i]):
            _need_change(a, b, f"the conditions {conditions[j].tolist()} and {conditions[i].tolist()}")


@contract("backbone.null_condition")
def null_condition(case: Case) -> None:
    """Where training drops conditions, the null label `num_classes` (or the zero vector) is one more condition.

    Guidance needs it: it must be accepted beside others in a batch, and give an output of its own.
    """
    spec = case.spec.with_droppable_condition()
    if spec.condition is None:
        does_not_apply("its tiny_spec has no condition")
    if problems := [problem.message for problem in case.config.check(spec)]:
        does_not_apply(f"its config refuses dropped conditions: {problems[0]}")
    given = case.normal(3, spec.condition.dim) if isinstance(spec.condition, Vectors) else torch.arange(16)
    if isinstance(spec.condition, Labels):  # the last one too, however many there are
        given = torch.cat([given, torch.tensor([spec.condition.num_classes - 1])]) % spec.condition.num_classes
    conditions = torch.cat([given, spec.condition.null_like(given[:1])])
    backbone = perturbed(case, spec)
    output = output_of(backbone, inputs_for(case, len(conditions))._replace(condition=conditions))
    require(output.isfinite().all(), f"the output for the conditions {conditions.tolist()} is not finite")
    _need_distinct(backbone, inputs_for(case, 1), conditions.unique(dim=0))


@contract("backbone.state_dict")
def state_dict(case: Case) -> None:
    """The state dict holds everything: loaded strictly into a build with another seed, it gives equal output."""
    backbone, other = perturbed(case), case.build(seed=1).eval()
    other.load_state_dict(backbone.state_dict(), strict=True)
    error = largest_difference(output_of(other, inputs_for(case)), output_of(backbone, inputs_for(case)))
    require(error == 0, f"the output changes by {error:.1e} when the state dict is loaded into another build")


@contract("backbone.float64")
def float64(case: Case) -> None:
    """In float64 all is computed in float64, the embedding of t too: the output's slope by x_t and t is smooth.

    A difference quotient with h = 1e-7 must agree to 1 % with the gradient. Float64 rounds it by about 1e-16 / h =
    1e-9; one step in float32 by about 1e-7 / h, which is all of it.
    """
    backbone, inputs = perturbed(case).double(), inputs_for(case).to(torch.float64)
    output = output_of(backbone, inputs)
    require(output.dtype == torch.float64, f"float64 weights and inputs give {output.dtype}")
    weights = case.normal(*output.shape, draw=2, dtype=torch.float64)
    for name in ("x_t", "t"):
        at = getattr(inputs, name).clone().requires_grad_()
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
    """`copy.deepcopy` gives an equal network that shares no memory with the first: EMA and teachers need it."""
    backbone = perturbed(case)
    twin = copy.deepcopy(backbone)
    before = output_of(backbone, inputs_for(case))
    require(torch.equal(output_of(twin, inputs_for(case)), before), "the copy gives another output")
    with torch.no_grad():
        for tensor in twin.parameters():
            tensor.zero_()
    require(torch.equal(output_of(backbone, inputs_for(case)), before), "the copy shares parameters with the original")


@contract("backbone.inputs_kept")
def inputs_kept(case: Case) -> None:
    """x_t, t and the condition are not modified, in training mode or in eval mode."""
    backbone, inputs = perturbed(case), inputs_for(case)
    for training in (False, True):
        with forked(case.seed, "dropout"):
            output_of(backbone.train(training), inputs)
        for name, now, given in zip(Inputs._fields, inputs, inputs_for(case), strict=True):
            require(now is None or given is None or torch.equal(now, given), f"{name} is modified")


@contract("backbone.eval_repeatable")
def eval_repeatable(case: Case) -> None:
    """In eval mode the same inputs give the same output twice, and no global random generator is used."""
    backbone, inputs = perturbed(case), inputs_for(case)
    with global_randomness_kept():
        first, second = output_of(backbone, inputs), output_of(backbone, inputs)
    require(torch.equal(first, second), f"the output differs by {largest_difference(first, second):.1e} in eval mode")


@contract("backbone.compile")
def compiles(case: Case) -> None:
    """`torch.compile(fullgraph=True, backend="eager")` works and gives an equal output.

    To 1e-6 of its size: that backend runs the same operations, only constants may be folded in another way.
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
    """`matrix_blocks` names parameters that are matrices, with numbers of blocks that divide their rows."""
    backbone = case.build()
    has_it = hasattr(backbone, "matrix_blocks")
    require(has_it, "it has no method matrix_blocks(); without a weight for a matrix optimiser, return {}")
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
