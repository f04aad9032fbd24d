"""The `Contract` class and the subjects that contracts check. The contracts themselves are in one module per kind."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
import torch
from torch import Tensor

from gentoolkit.api import Array, DatasetConfig, DataSpec, Labels
from gentoolkit.configs import Config
from gentoolkit.kinds import KINDS
from gentoolkit.plugins import load_plugins
from gentoolkit.randomness import forked, numpy_generator
from gentoolkit.registry import Entry, Registry, build
from gentoolkit.testing.outcomes import BUILDS

#: Data for objectives, samplers and metrics that do not declare `tiny_spec`.
PLAIN_SPEC = DataSpec((1, 2, 2), Labels(2))


#: The largest number of samples in one call of a component. Contracts that need more use several batches, because a
#: component may compare all pairs of samples (a matrix of 1,024² costs takes 8 MB) or keep many copies of a batch.
MOST_SAMPLES = 1024


class ContractError(AssertionError):
    """A component violates a contract; the message has the measured and the expected value."""


class NotApplicable(Exception):  # noqa: N818 - it means that there is nothing to check, not that something is wrong
    """A contract does not apply to this component; the message is the reason."""


def fail(message: str) -> NoReturn:
    """Raise ContractError with the message."""
    raise ContractError(message)


def require(true: bool | Tensor, message: str) -> None:
    """Raise ContractError with the message unless `true`."""
    if not true:
        fail(message)


def does_not_apply(reason: str) -> NoReturn:
    """Skip the contract for this component."""
    raise NotApplicable(reason)


class Subject(Protocol):
    """The argument of a contract: a component (`Case`) or a command (`gentoolkit.testing.command`).

    Attributes:
        name: The name in outcomes.
        kind: The component's kind, or "command".
        traits: The traits that determine which contracts apply.
        expected_failures: Contract id -> why it can't be satisfied.
        can_be_built: Whether the subject can be built, and so be checked.
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
    """A component to check.

    Attributes:
        entry: The component.
        seed: Seed for all random numbers in its contracts.
        registry: The components for its slots. Default: those of the installed plugins.
    """

    entry: Entry
    seed: int = 0
    registry: Registry | None = None

    @property
    def name(self) -> str:
        """The component's name in recipes."""
        return self.entry.name

    @property
    def kind(self) -> str:
        """The component's kind."""
        return self.entry.kind

    @property
    def traits(self) -> frozenset[str]:
        """The traits that the component declares."""
        return self.entry.component.traits

    @property
    def expected_failures(self) -> Mapping[str, str]:
        """The expected failures that the component declares."""
        return self.entry.component.expected_failures

    @cached_property
    def components(self) -> Registry:
        """The component, and those for its slots."""
        others = (_installed() if self.registry is None else self.registry).entries()
        components = Registry()
        components.add(self.entry, *(other for other in others if (other.kind, other.name) != (self.kind, self.name)))
        return components

    @cached_property
    def config(self) -> Config:
        """The component's tiny config."""
        return self.components.resolve(self.kind, {"type": self.entry.name, **self.entry.component.tiny})

    @property
    def spec(self) -> DataSpec:
        """The data spec: the dataset's own, else the component's `tiny_spec`, else (1, 2, 2) arrays with two labels."""
        if isinstance(self.config, DatasetConfig):
            return self.config.spec()
        return self.entry.component.tiny_spec or PLAIN_SPEC

    def build(
        self,
        split: str = "train",
        spec: DataSpec | None = None,
        seed: int = 0,
        needs: Iterable[str] = (),
        **given: Any,
    ) -> Any:
        """Build the component as a run does. Observers get a directory that is deleted afterwards.

        Backbones and objectives may draw their initial weights from torch's global generator, so it is forked and
        seeded for them. For the other kinds it is not, so that their use of it is detected.

        Args:
            split: The split, for datasets.
            spec: The data spec, for backbones; `self.spec` by default.
            seed: Added to the case's seed, to obtain another initialization.
            needs: The capabilities that are needed, for backbones.
            **given: Other arguments of the kind; by default, what `arguments` in its module of contracts returns.
        """
        seed += self.seed
        home = import_module(f"gentoolkit.testing.{KINDS[self.kind].contracts[0]}")
        given = getattr(home, "arguments", lambda case: {})(self) | given
        draws = forked(seed, "contract") if KINDS[self.kind].has_weights else nullcontext()
        with draws, tempfile.TemporaryDirectory() as folder:
            known = {"split": split, "seed": seed, "spec": spec or self.spec, "needs": frozenset(needs)}
            return build(self.config, **known | {"directory": Path(folder)} | given)

    @cached_property
    def can_be_built(self) -> bool:
        """Whether the factory succeeds; if not, `any.factory` reports why."""
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
        """Return `count` conditions that fit the spec. Labels are consecutive, starting at number `first`.

        If conditions are droppable, the null label is included.
        """
        match self.spec.condition:
            case Labels(num_classes, droppable):
                return torch.arange(first, first + count) % (num_classes + droppable)
            case Array(shape):
                return self.normal(count, *shape, draw=10 * first + 3)
            case None:
                return None


@cache
def _installed() -> Registry:
    return load_plugins().registry


@dataclass(frozen=True)
class Contract:
    """A requirement for every component of a kind, and the function that checks it.

    Attributes:
        id: `kind.name`; the kind is "any" if the contract applies to all kinds.
        check: Raises ContractError if a component violates the contract. Its docstring states the requirement.
        needs: The contract applies only to components with these traits.
        skips: The contract is skipped for components with any of these traits.
    """

    id: str
    check: Callable[[Any], None]
    needs: frozenset[str] = frozenset()
    skips: frozenset[str] = frozenset()

    @property
    def statement(self) -> str:
        """The requirement in words."""
        return (self.check.__doc__ or "").strip()

    @property
    def headline(self) -> str:
        """The first line of the requirement."""
        return self.statement.partition("\n")[0]

    def concerns(self, subject: Subject) -> bool:
        """Return whether this contract applies to the subject, skipped or not."""
        kinds = ("any", subject.kind) if subject.kind in KINDS else (subject.kind,)
        return self.id.split(".")[0] in kinds and self.needs <= subject.traits


#: All contracts by id. Modules of this package add their contracts when they are imported.
CONTRACTS: dict[str, Contract] = {}


def contract(
    contract_id: str, *, needs: Iterable[str] = (), skips: Iterable[str] = ()
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Return a decorator that registers a function as a contract; see `Contract` for the arguments."""

    def register(check: Callable[[Any], None]) -> Callable[[Any], None]:
        if contract_id in CONTRACTS:
            raise ValueError(f"contract {contract_id!r} is defined twice")
        CONTRACTS[contract_id] = Contract(contract_id, check, frozenset(needs), frozenset(skips))
        return check

    return register


def contracts_of(subject: Subject | Entry) -> tuple[Contract, ...]:
    """Return the contracts that apply to a component or a command: `any.factory` first, the rest by id."""
    of = Case(subject) if isinstance(subject, Entry) else subject
    return tuple(c for c in sorted(CONTRACTS.values(), key=lambda c: (c.id != BUILDS, c.id)) if c.concerns(of))


@contextmanager
def isolated() -> Iterator[None]:
    """Run the block in one thread, and restore the global random generators afterwards.

    For tiny components, the synchronization of several threads takes longer than the computation.
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
