"""Contracts: requirements that every component and every command must satisfy.

Run them with `gentool check my-dist` on the command line, with `check("my-dist")` from Python, or in pytest with::

    from gentoolkit.testing import contract_tests

    test_contracts = contract_tests("my-dist")

Every contract is a plain function in the module of its kind; `CONTRACTS` maps ids to contracts. Its docstring states
the requirement and, under "Power", the smallest fault that it is certain to find. A component declares what it can't
satisfy in `Component.traits` and `Component.expected_failures`.

Components can rely on the following:

* One call receives at most `MOST_SAMPLES` = 1,024 samples. Contracts that need more make more calls.
* `check` and `gentool check` run the contracts in a worker process. A contract that ends the process (out of memory, a
  signal, `os._exit`) or runs for more than ten minutes fails, and the cause is reported. A new worker runs the others.
  `contract_tests` runs them in pytest's own process.
* Everything is computed on the CPU, in one thread, with fixed seeds.

Names are imported on first use, so that `gentool check` imports torch only in the worker.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gentoolkit.testing.contracts import MOST_SAMPLES as MOST_SAMPLES
    from gentoolkit.testing.contracts import Case as Case
    from gentoolkit.testing.contracts import Contract as Contract
    from gentoolkit.testing.contracts import ContractError as ContractError
    from gentoolkit.testing.contracts import contracts_of as contracts_of
    from gentoolkit.testing.outcomes import Outcome as Outcome
    from gentoolkit.testing.outcomes import summary as summary
    from gentoolkit.testing.running import run as run
    from gentoolkit.testing.suite import CONTRACTS as CONTRACTS
    from gentoolkit.testing.suite import check_entry as check_entry
    from gentoolkit.testing.suite import contract_tests as contract_tests
    from gentoolkit.testing.worker import check as check

#: Public name -> the module that defines it.
_HOMES = {
    "CONTRACTS": "suite",
    "Case": "contracts",
    "Contract": "contracts",
    "ContractError": "contracts",
    "MOST_SAMPLES": "contracts",
    "Outcome": "outcomes",
    "check": "worker",
    "check_entry": "suite",
    "contract_tests": "suite",
    "contracts_of": "suite",
    "run": "suite",
    "summary": "outcomes",
}

__all__ = [*_HOMES]  # noqa: PLE0604 - the names are those of the table


def __getattr__(name: str) -> Any:
    """Import a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gentoolkit.testing' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names, for tab completion."""
    return sorted(_HOMES)
