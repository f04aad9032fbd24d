"""All contracts, and the components and commands that they are run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

from gentoolkit.kinds import KINDS
from gentoolkit.plugins import Plugins, load_plugins
from gentoolkit.registry import Entry, Registry
from gentoolkit.testing.command import CommandCase
from gentoolkit.testing.contracts import CONTRACTS, Case, Contract, Subject, contracts_of
from gentoolkit.testing.outcomes import Outcome
from gentoolkit.testing.running import run
from gentoolkit.testing.worker import need_plugins
from gentoolkit.verbs import added_verbs

__all__ = ["CONTRACTS", "check_entry", "contract_tests", "contracts_of", "run", "subjects_of"]

# Importing a module registers its contracts.
for _module in ("common", *(name for kind in KINDS.values() for name in kind.contracts)):
    import_module(f"gentoolkit.testing.{_module}")


def subjects_of(distribution: str, plugins: Plugins) -> tuple[Subject, ...]:
    """Return the components of an installed distribution, by kind and name, then its commands.

    Raises:
        UsageError: See `need_plugins`.
    """
    name = need_plugins(distribution, plugins)
    components = (
        Case(entry, registry=plugins.registry) for entry in plugins.registry.entries() if entry.distribution == name
    )
    commands = (CommandCase(verb) for verb in added_verbs().values() if verb.distribution == name)
    return (*components, *commands)


def check_entry(entry: Entry, registry: Registry | None = None) -> Iterator[Outcome]:
    """Run all contracts that apply to a component, one after the other, in this process.

    Args:
        entry: The component.
        registry: The components for its slots. Default: those of the installed plugins.
    """
    case = Case(entry, registry=registry)
    for contract in contracts_of(case):
        yield run(contract, case)


def contract_tests(distribution: str, plugins: Plugins | None = None) -> Callable[..., None]:
    """Return a pytest test with one case for each contract of an installed distribution.

    A test file needs only the line `test_contracts = contract_tests("my-dist")`. The cases are named
    `component-contract`, e.g. `dit-backbone.batch_independence`. Expected failures are reported as xfailed and
    contracts that do not apply as skipped, each with the reason. The contracts run in pytest's own process, so that a
    debugger and coverage work as usual. A component that ends the process therefore ends the test run.

    Raises:
        UsageError: See `check`.
    """
    import pytest

    cases = [
        pytest.param(contract, subject, id=f"{subject.name.rpartition('/')[2]}-{contract.id}")
        for subject in subjects_of(distribution, plugins or load_plugins())
        for contract in contracts_of(subject)
    ]

    @pytest.mark.parametrize(("contract", "subject"), cases)
    def test_contracts(contract: Contract, subject: Subject) -> None:
        _report(run(contract, subject))

    return test_contracts


def _report(outcome: Outcome) -> None:
    import pytest

    if outcome.status == "failed":
        pytest.fail(f"{outcome.component} violates {outcome.contract}: {outcome.message}", pytrace=False)
    if outcome.status == "expected failure":
        pytest.xfail(outcome.message)
    if outcome.status == "skipped":
        pytest.skip(outcome.message)
