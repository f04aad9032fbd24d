"""Running one contract in this process."""

from __future__ import annotations

import traceback

from gentoolkit.errors import GentoolError
from gentoolkit.testing.contracts import Contract, ContractError, NotApplicable, Subject, does_not_apply, isolated
from gentoolkit.testing.outcomes import BUILDS, Outcome, Planned, Verdict


def planned(contract: Contract, subject: Subject) -> Planned:
    """Return the contract as plain data."""
    reason = subject.expected_failures.get(contract.id)
    return Planned(contract.id, subject.name, subject.kind, contract.headline, reason)


def run(contract: Contract, subject: Subject) -> Outcome:
    """Run one contract in this process. A declared expected failure that passes or is skipped counts as a failure."""
    plan = planned(contract, subject)
    # Otherwise one error in a constructor would be reported for every contract.
    if contract.id != BUILDS and not subject.can_be_built:
        return plan.not_run()
    return plan.outcome(*_attempt(contract, subject))


def _attempt(contract: Contract, subject: Subject) -> tuple[Verdict, str]:
    try:
        if left_out := contract.skips & subject.traits:
            does_not_apply(f"the {subject.kind} is {' and '.join(sorted(left_out))}")
        with isolated():
            contract.check(subject)
    except NotApplicable as reason:
        return "skipped", f"does not apply: {reason}"
    except (Exception, SystemExit) as fault:
        return "failed", described(fault)
    return "passed", ""


def described(fault: BaseException) -> str:
    """Return the message of a ContractError or GentoolError; for other exceptions also the type and the place."""
    if isinstance(fault, ContractError | GentoolError):
        return str(fault)
    frames = traceback.extract_tb(fault.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(fault).__name__}: {fault}{where}"
