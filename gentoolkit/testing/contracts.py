"""What a contract is, and what it is given. The contracts themselves are in one module per kind."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, Protocol

import numpy as np
import torch
from torch import Tensor

from gentoolkit.api import Config, DatasetConfig, DataSpec, Labels, Vectors
from gentoolkit.randomness import forked, numpy_generator
from gentoolkit.registry import Entry
from gentoolkit.testing.outcomes import BUILDS

#: The data of objectives, samplers and metrics that declare no `tiny_spec`.
PLAIN_SPEC = DataSpec((1, 2, 2), Labels(2))


#: No contract hands a component more samples than this in one call. What needs more draws batches one after the other:
#: a component may compare each sample with each (a matrix of 1,024² costs takes 8 MB), or keep many copies of a batch.
MOST_SAMPLES = 1024


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


class Subject(Protocol):
    """What a contract is given: a component (`Case`), or a plugin that has hooks (`gentoolkit.testing.hooks`).

    Attributes:
        name: What outcomes call it.
        kind: A component's kind, or "plugin".
        traits: What decides which contracts concern it.
        expected_failures: Contract id -> why it can't be satisfied.
        can_be_built: Whether there is anything to check.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def traits(self) -> frozenset[str]: ...  # noqa: D102
    @property
    def expected_failures(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def can_be_built(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True)
class Case:
    """A component, and the seed of all randomness in its contracts."""

    entry: Entry
    seed: int = 0

    @property
    def name(self) -> str:
        """The component's name, as recipes write it."""
        return self.entry.name

    @property
    def kind(self) -> str:
        """The component's kind."""
        return self.entry.kind

    @property
    def traits(self) -> frozenset[str]:
        """What the component declares of its nature."""
        return self.entry.component.traits

    @property
    def expected_failures(self) -> Mapping[str, str]:
        """What the component declares that it can't satisfy."""
        return self.entry.component.expected_failures

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
            seed: Added to the case's, for another initialization.
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
            with isolated():
                self.build()
        except (Exception, SystemExit):
            return False
        return True

    def normal(self, *shape: int, draw: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return standard normal numbers, keyed by the seed, the shape and `draw`."""
        draws = numpy_generator(self.seed, "contract", draw, *shape).standard_normal(shape)
        return torch.as_tensor(draws, dtype=dtype)

    def conditions(self, count: int, first: int = 0) -> Tensor | None:
        """Return `count` conditions that fit the spec: the labels in turn from the one numbered `first` on.

        The null label is among them where there is one.
        """
        match self.spec.condition:
            case Labels(num_classes, droppable):
                return torch.arange(first, first + count) % (num_classes + droppable)
            case Vectors(dim):
                return self.normal(count, dim, draw=10 * first + 3)
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
    check: Callable[[Any], None]
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

    def concerns(self, subject: Subject) -> bool:
        """Return whether this is one of the subject's contracts, skipped or not."""
        kinds = (subject.kind,) if subject.kind == "plugin" else ("any", subject.kind)
        return self.id.split(".")[0] in kinds and self.needs <= subject.traits


#: Every contract by its id; the modules of this package fill it when they are imported.
CONTRACTS: dict[str, Contract] = {}


def contract(
    contract_id: str, *, needs: Iterable[str] = (), skips: Iterable[str] = ()
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Make a function a contract; see `Contract` for the arguments."""

    def register(check: Callable[[Any], None]) -> Callable[[Any], None]:
        if contract_id in CONTRACTS:
            raise ValueError(f"contract {contract_id!r} is defined twice")
        CONTRACTS[contract_id] = Contract(contract_id, check, frozenset(needs), frozenset(skips))
        return check

    return register


def contracts_of(subject: Subject | Entry) -> tuple[Contract, ...]:
    """Return the contracts that concern a component, or a plugin with hooks: `any.factory` first, the rest by id."""
    of = Case(subject) if isinstance(subject, Entry) else subject
    return tuple(c for c in sorted(CONTRACTS.values(), key=lambda c: (c.id != BUILDS, c.id)) if c.concerns(of))


@contextmanager
def isolated() -> Iterator[None]:
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
