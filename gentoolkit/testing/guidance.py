"""Contracts for guidance: changes of a conditional model's field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from gentoolkit.api import Labels
from gentoolkit.fields import Field, FlowMap, Quantity
from gentoolkit.paths import LINEAR, expand
from gentoolkit.protocols import Guidance
from gentoolkit.testing.contracts import Case, contract, require
from gentoolkit.testing.measures import global_randomness_kept, largest_difference

LABELS = Labels(3, droppable=True)
COUNT = 12


def _inputs(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    t = (torch.arange(COUNT, dtype=torch.float64) + 0.5) / COUNT
    return case.normal(COUNT, 2, 3, dtype=torch.float64), t, torch.arange(COUNT) % LABELS.num_classes


def _field(quantity: Quantity = "velocity", seen: list[Tensor] | None = None) -> Field:
    """Return a field whose values depend on the state, the time and the label."""

    def predict(x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        assert condition is not None
        if seen is not None:
            seen.append(condition)
        value: Tensor = (1 + expand(condition.to(x.dtype), x)) * x.sin() + expand(t, x)
        return value if quantity == "velocity" else LINEAR.convert(value, x, t, "velocity", quantity)

    return Field(predict, LINEAR, quantity)


def observe(case: Case, guidance: Guidance) -> dict[str, Tensor]:
    """Return what must be equal for two equal guidances."""
    return {"velocity": guidance.guide(_field(), LABELS).velocity(*_inputs(case))}


@contract("guidance.field")
def field(case: Case) -> None:
    """The guided field has the path, quantity and domain of the field, and finite values of its shape and dtype.

    Power: any such fault at 12 times; any draw from a global generator; any change of the inputs.
    """
    inputs = _inputs(case)
    given = [part.clone() for part in inputs]
    plain = replace(_field(), domain=(0.01, 0.99))
    with global_randomness_kept():
        guided = case.build().guide(plain, LABELS)
        value = guided.velocity(*inputs)
    for name in ("path", "quantity", "domain"):
        got, expected = getattr(guided, name), getattr(plain, name)
        require(got == expected, f"the guided field has the {name} {got}; expected {expected}")
    require(value.shape == inputs[0].shape, f"its velocity has shape {tuple(value.shape)}")
    require(value.dtype == torch.float64, f"its velocity for float64 states is {value.dtype}")
    require(value.isfinite().all(), "its velocity is not finite")
    require(all(map(torch.equal, inputs, given)), "it modifies its inputs")


@contract("guidance.rows")
def rows(case: Case) -> None:
    """A sample does not depend on the others in its batch.

    Power: a difference of 1e-12.
    """
    guided, (x, t, labels) = case.build().guide(_field(), LABELS), _inputs(case)
    together = guided.velocity(x, t, labels)
    alone = torch.cat([guided.velocity(x[[i]], t[[i]], labels[[i]]) for i in range(COUNT)])
    error = largest_difference(alone, together)
    require(error <= 1e-12, f"a sample changes by {error:.1e} when it is guided alone")


@contract("guidance.agreement")
def agreement(case: Case) -> None:
    """If all conditions, the null condition included, have the same field, guidance changes nothing.

    Power: a relative change of 1e-9. Guidance that changes such a field on purpose declares an expected failure.
    """
    guidance, (x, t, labels) = case.build(), _inputs(case)
    plain = Field(lambda x, t, condition: x.sin() + expand(t, x))
    error = largest_difference(guidance.guide(plain, LABELS).velocity(x, t, labels), plain.velocity(x, t, labels))
    require(error <= 1e-9, f"a field that does not depend on the condition is changed by {error:.1e}")


@contract("guidance.quantity")
def quantity(case: Case) -> None:
    """The guided velocity is the same whether the network predicts the velocity, the denoised sample or the noise.

    Power: a relative difference of 1e-9 at 12 times from 0.04 to 0.96.
    """
    guidance, inputs = case.build(), _inputs(case)
    expected = guidance.guide(_field(), LABELS).velocity(*inputs)
    for name in ("denoised", "noise"):
        found = guidance.guide(_field(name), LABELS).velocity(*inputs)
        error = largest_difference(found, expected)
        require(error <= 1e-9, f"for a network that predicts the {name}, the velocity differs by {error:.1e}")


@contract("guidance.unconditional")
def unconditional(case: Case) -> None:
    """For data without conditions, `guide(field, None)` returns a field with unchanged values.

    Power: any change.
    """
    x, t, _ = _inputs(case)
    plain = Field(lambda x, t, condition: x.sin() + expand(t, x))
    guided = case.build().guide(plain, None)
    require(torch.equal(guided.velocity(x, t), plain.velocity(x, t)), "the field of unconditional data is changed")


@contract("guidance.keeps")
def keeps(case: Case) -> None:
    """`keeps()` of the config tells the truth: a flow map stays one exactly if "flow_map" is among what it keeps.

    Power: any contradiction.
    """
    jumps: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor] = lambda x, t, s, c: x  # noqa: E731
    plain = _field()
    flow_map = FlowMap(plain.predict, plain.path, plain.quantity, plain.domain, jumps)
    stays = hasattr(case.build().guide(flow_map, LABELS), "jump")
    declared = "flow_map" in case.config.keeps()  # type: ignore[attr-defined]
    found = "can jump" if stays else "can't jump"
    require(stays == declared, f"a guided flow map {found}, but keeps() says otherwise")
