"""How a contract went for a component, as plain data. No torch here: the process that supervises needs none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

#: The contract that says why a component can't be built. It runs first; if it can't pass, the others are not run.
BUILDS = "any.factory"

Verdict = Literal["passed", "failed", "skipped"]
Status = Literal["passed", "failed", "expected failure", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one contract for one component; the message says why it did not simply pass."""

    contract: str
    component: str
    status: Status
    message: str = ""


@dataclass(frozen=True)
class Planned:
    """A contract that is to run, and what its outcome depends on besides what is measured.

    Attributes:
        contract: The contract's id.
        component: The component's name, as recipes write it.
        kind: The component's kind, or "plugin" for hooks.
        headline: The first line of what the contract demands.
        expected: Why the component declares that it fails; None if it doesn't.
    """

    contract: str
    component: str
    kind: str
    headline: str
    expected: str | None

    @property
    def subject(self) -> tuple[str, str]:
        """What it is about, unambiguously: components of different kinds may share a name."""
        return self.kind, self.component

    def outcome(self, verdict: Verdict, message: str = "") -> Outcome:
        """Return the outcome. An expected failure that does not fail is a failure."""
        status: Status = verdict
        if self.expected is not None:
            status = "expected failure" if verdict == "failed" else "failed"
            message = {
                "failed": f"{self.expected} (measured: {message})",
                "skipped": f"declared as expected failure, but {message}",
                "passed": f"declared as expected failure, but passes; remove the declaration: {self.expected}",
            }[verdict]
        return Outcome(self.contract, self.component, status, message)

    def not_run(self) -> Outcome:
        """Return the outcome where the component can't be built, whatever it declares."""
        return Outcome(self.contract, self.component, "skipped", "not run: it can't be built")


def summary(outcomes: Iterable[Outcome]) -> str:
    """Return the counts in one line: how many were run, of these passed and failed, expected failures and skips."""
    count = Counter(outcome.status for outcome in outcomes)
    return (
        f"{count.total() - count['skipped']} run: {count['passed']} passed, {count['failed']} failed, "
        f"{count['expected failure']} failed as expected; {count['skipped']} skipped"
    )
