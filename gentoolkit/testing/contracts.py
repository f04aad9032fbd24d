"""What a contract is, what it is given, and how one is run. The contracts themselves stand in one module per kind."""

from __future__ import annotations

import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from torch import Tensor

from gentoolkit.api import Config, DatasetConfig, DataSpec, Labels, Vectors
from gentoolkit.errors import GentoolError
from gentoolkit.randomness import forked, torch_generator
from gentoolkit.registry import Entry

#: The data of objectives, samplers and metrics that declare no `tiny_spec`.
PLAIN_SPEC = DataSpec((1, 2, 2), Labels(2))


#: The contract that tells why a component can't be built; the others are then not run.
BUILDS = "any.factory"


class ContractError(AssertionError):
    """A component breaks a contract; the message tells what was measured and what was expected."""


class NotApplicable(Exception):  # noqa: N818 - says that there is nothing to check, not that something is wrong
    """A contract asks nothing of this component; the message says why."""


def fail(message: str) -> NoReturn:
    """Say that the component breaks the contract."""
    raise ContractError(message)


def require(true: bool | Tensor, message: str) -> None:
    """Fail with the message unless `true`."""
    if not true:
        fail(message)


def does_not_apply(reason: str) -> NoReturn:
    """Leave the contract out for this component."""
    raise NotApplicable(reason)


@dataclass(frozen=True)
class Case:
    """A component, and the seed of all randomness in its contracts."""

    entry: Entry
    seed: int = 0

    @property
    def config(self) -> Config:
        """The component's tiny config."""
        return self.entry.component.tiny

    @property
    def spec(self) -> DataSpec:
        """The data: the dataset's own, or the component's `tiny_spec`, or (1, 2, 2) arrays with two labels."""
        if isinstance(self.config, DatasetConfig):
            return self.config.spec()
        return self.entry.component.tiny_spec or PLAIN_SPEC

    def build(self, split: str = "train", spec: DataSpec | None = None, seed: int = 0) -> Any:
        """Build the component as a run does.

        Backbones and objectives may draw their first weights from torch's global generator: it is forked and keyed for
        them. What the other kinds do to it is not hidden.

        Args:
            split: For datasets.
            spec: For backbones; `self.spec` by default.
            seed: Added to the case's, for another initialisation.
        """
        seed += self.seed
        arguments = {"dataset": (split, seed), "backbone": (spec or self.spec,)}.get(self.entry.kind, ())
        has_weights = self.entry.kind in ("backbone", "objective")
        with forked(seed, "contract") if has_weights else nullcontext():
            return self.entry.build(self.config, *arguments)

    @cached_property
    def can_be_built(self) -> bool:
        """Whether the factory gives anything at all; `any.factory` tells what is wrong."""
        try:
            with _isolated():
                self.build()
        except Exception:
            return False
        return True

    def normal(self, *shape: int, draw: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return standard normal numbers, keyed by the seed, the shape and `draw`."""
        generator = torch_generator(self.seed, "contract", draw, *shape)
        return torch.randn(shape, generator=generator, dtype=dtype)

    def conditions(self, count: int) -> Tensor | None:
        """Return `count` conditions that fit the spec: the labels in turn, with the null label where there is one."""
        match self.spec.condition:
            case Labels(num_classes, droppable):
                return torch.arange(count) % (num_classes + droppable)
            case Vectors(dim):
                return self.normal(count, dim, draw=3)
            case None:
                return None


@dataclass(frozen=True)
class Contract:
    """A statement about every component of a kind, and the function that checks it.

    Attributes:
        id: `kind.name`; the kind is "any" for what holds for all.
        check: Raises ContractError where a component breaks the contract. Its docstring is the statement.
        needs: Traits without which the contract does not concern a component.
        skips: Traits with which it makes no sense; it is then shown as skipped.
    """

    id: str
    check: Callable[[Case], None]
    needs: frozenset[str] = frozenset()
    skips: frozenset[str] = frozenset()

    @property
    def statement(self) -> str:
        """What a component must satisfy, in words."""
        return (self.check.__doc__ or "").strip()

    @property
    def headline(self) -> str:
        """The first line of the statement."""
        return self.statement.partition("\n")[0]

    def concerns(self, entry: Entry) -> bool:
        """Return whether this is one of the component's contracts, skipped or not."""
        return self.id.split(".")[0] in ("any", entry.kind) and self.needs <= entry.component.traits


#: Every contract by its id; the modules of this package fill it when they are imported.
CONTRACTS: dict[str, Contract] = {}


def contract(
    contract_id: str, *, needs: Iterable[str] = (), skips: Iterable[str] = ()
) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Make a function a contract; see `Contract` for the arguments."""

    def register(check: Callable[[Case], None]) -> Callable[[Case], None]:
        if contract_id in CONTRACTS:
            raise ValueError(f"contract {contract_id!r} is defined twice")
        CONTRACTS[contract_id] = Contract(contract_id, check, frozenset(needs), frozenset(skips))
        return check

    return register


def contracts_of(entry: Entry) -> tuple[Contract, ...]:
    """Return the contracts that concern a component, sorted by id."""
    return tuple(CONTRACTS[key] for key in sorted(CONTRACTS) if CONTRACTS[key].concerns(entry))


Status = Literal["passed", "failed", "expected failure", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """How one contract went for one component; the message says why it did not just pass."""

    contract: str
    component: str
    status: Status
    message: str = ""


def run(contract: Contract, case: Case) -> Outcome:
    """Check one contract. A declared expected failure that passes or does not apply is a failure."""
    component = case.entry.component
    reason = component.expected_failures.get(contract.id)

    def outcome(status: Status, message: str = "") -> Outcome:
        return Outcome(contract.id, case.entry.name, status, message)

    # Without this, one fault in a constructor would be told once for each contract.
    if contract.id != BUILDS and not case.can_be_built:
        return outcome("skipped", "not run: it can't be built")
    try:
        if left_out := contract.skips & component.traits:
            does_not_apply(f"it is {' and '.join(sorted(left_out))}")
        with _isolated():
            contract.check(case)
    except NotApplicable as left_out:
        if reason is not None:
            return outcome("failed", f"declared as expected failure, but does not apply: {left_out}")
        return outcome("skipped", f"does not apply: {left_out}")
    except Exception as fault:
        if reason is not None:
            return outcome("expected failure", f"{reason} (measured: {_told(fault)})")
        return outcome("failed", _told(fault))
    if reason is not None:
        return outcome("failed", f"declared as expected failure, but passes; remove the declaration: {reason}")
    return outcome("passed")


@contextmanager
def _isolated() -> Iterator[None]:
    """Hide from the caller what a broken component does to the global random generators.

    And compute in one thread: on tiny components, waiting for other threads costs more than they do.
    """
    threads, python, numpy = torch.get_num_threads(), random.getstate(), np.random.get_state()  # noqa: NPY002
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _told(fault: Exception) -> str:
    """Return the message of a broken contract or of an error for the user; for any other its type and place too."""
    if isinstance(fault, ContractError | GentoolError):
        return str(fault)
    frames = traceback.extract_tb(fault.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(fault).__name__}: {fault}{where}"


def summary(outcomes: Iterable[Outcome]) -> str:
    """Return the counts in one line: how many were run, of these passed and failed, expected failures and skips."""
    count = Counter(outcome.status for outcome in outcomes)
    return (
        f"{count.total() - count['skipped']} run: {count['passed']} passed, {count['failed']} failed, "
        f"{count['expected failure']} failed as expected; {count['skipped']} skipped"
    )
