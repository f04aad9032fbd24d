"""The installable contracts: what every dataset, backbone, objective, sampler and metric must satisfy.

In pytest, a plugin's whole test of its contracts is::

    from gentoolkit.testing import contract_tests

    test_contracts = contract_tests("my-dist")

Without pytest, `gentool check my-dist` does the same, and `check("my-dist")` from Python. Every contract is a plain
function `(Case) -> None` in the module of its kind; its docstring says what it demands, and `CONTRACTS` has them all by
id. A component declares what it can't satisfy in `Component.traits` and `Component.expected_failures`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gentoolkit.distributions import canonical
from gentoolkit.errors import UsageError, joined, listing, suggest
from gentoolkit.plugins import Plugins, load_plugins
from gentoolkit.registry import Entry
from gentoolkit.testing import backbone, common, dataset, metric, objective, sampler, sampler_traits  # noqa: F401 - define contracts
from gentoolkit.testing.contracts import (
    CONTRACTS,
    Case,
    Contract,
    ContractError,
    Outcome,
    contracts_of,
    run,
    summary,
)

__all__ = [
    "CONTRACTS",
    "Case",
    "Contract",
    "ContractError",
    "Outcome",
    "check",
    "check_entry",
    "contract_tests",
    "contracts_of",
    "entries_of",
    "run",
    "summary",
]


def entries_of(distribution: str, plugins: Plugins) -> tuple[Entry, ...]:
    """Return the components of an installed distribution, sorted by kind and name.

    Raises:
        UsageError: The distribution offers no plugin, or one of its plugins is broken.
    """
    name = canonical(distribution)
    if broken := [plugin for plugin in plugins.quarantined if plugin.distribution == name]:
        faults = "; ".join(f"{plugin.name}: {plugin.reason}" for plugin in broken)
        raise UsageError(f"{name!r} can't be checked, since a plugin of it does not load: {faults}")
    installed = {plugin.distribution for plugin in plugins.loaded}
    if name not in installed:
        raise UsageError(
            joined(
                f"no installed distribution {distribution!r} has gentoolkit plugins",
                f"expected one of {listing(installed)}",
                suggest(name, installed),
            )
        )
    return tuple(entry for entry in plugins.registry.entries() if entry.distribution == name)


def check_entry(entry: Entry) -> Iterator[Outcome]:
    """Run all contracts that concern a component, one after the other."""
    case = Case(entry)
    for contract in contracts_of(entry):
        yield run(contract, case)


def check(distribution: str, plugins: Plugins | None = None) -> list[Outcome]:
    """Run all contracts of all components of an installed distribution; needs no pytest.

    Args:
        distribution: As pip knows it, e.g. "my-dist".
        plugins: What `load_plugins` found; it is called by default.

    Raises:
        UsageError: The distribution offers no plugin, or one of its plugins is broken.
    """
    found = entries_of(distribution, plugins or load_plugins())
    return [outcome for entry in found for outcome in check_entry(entry)]


def contract_tests(distribution: str, plugins: Plugins | None = None) -> Callable[..., None]:
    """Return a pytest test with one case for each contract of each component of an installed distribution.

    `test_contracts = contract_tests("my-dist")` is all that a test file needs. The cases are named
    `component-contract`, e.g. `dit-backbone.batch_independence`. Expected failures are reported as xfailed, contracts
    that do not apply as skipped, each with its reason.

    Raises:
        UsageError: As `check`.
    """
    import pytest

    cases = [
        pytest.param(contract, case, id=f"{case.entry.component.name}-{contract.id}")
        for case in map(Case, entries_of(distribution, plugins or load_plugins()))
        for contract in contracts_of(case.entry)
    ]

    @pytest.mark.parametrize(("contract", "case"), cases)
    def test_contracts(contract: Contract, case: Case) -> None:
        _report(run(contract, case))

    return test_contracts


def _report(outcome: Outcome) -> None:
    import pytest

    if outcome.status == "failed":
        pytest.fail(f"{outcome.component} breaks {outcome.contract}: {outcome.message}", pytrace=False)
    if outcome.status == "expected failure":
        pytest.xfail(outcome.message)
    if outcome.status == "skipped":
        pytest.skip(outcome.message)
