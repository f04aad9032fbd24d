"""Outcomes of contracts as plain data. Does not import torch, which the supervising process does not need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

#: The contract that reports why a component can't be built. It runs first; the others run only if building succeeds.
BUILDS = "any.factory"

Verdict = Literal["passed", "failed", "skipped"]
Status = Literal["passed", "failed", "expected failure", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one contract for one component; the message gives the reason unless it passed."""

    contract: str
    component: str
    status: Status
    message: str = ""


@dataclass(frozen=True)
class Planned:
    """A contract to be run on a component.

    Attributes:
        contract: The contract's id.
        component: The component's name in recipes.
        kind: The component's kind, or "command".
        headline: The first line of the requirement.
        expected: The reason that the component gives for an expected failure; None if it declares none.
    """

    contract: str
    component: str
    kind: str
    headline: str
    expected: str | None

    @property
    def subject(self) -> tuple[str, str]:
        """The kind and the name; both are needed because components of different kinds may share a name."""
        return self.kind, self.component

    def outcome(self, verdict: Verdict, message: str = "") -> Outcome:
        """Return the outcome. An expected failure that passes or is skipped counts as a failure."""
        status: Status = verdict
        if self.expected is not None:
            status = "expected failure" if verdict == "failed" else "failed"
            message = {
                "failed": f"{self.expected} (measured: {message})",
                "skipped": f"declared as an expected failure, but {message}",
                "passed": f"declared as an expected failure, but passes; remove the declaration: {self.expected}",
            }[verdict]
        return Outcome(self.contract, self.component, status, message)

    def not_run(self) -> Outcome:
        """Return the outcome for a component that can't be built, regardless of expected failures."""
        return Outcome(self.contract, self.component, "skipped", "not run: the component can't be built")


def summary(outcomes: Iterable[Outcome]) -> str:
    """Return one line with the numbers of contracts that ran, passed, failed, failed as expected and were skipped."""
    count = Counter(outcome.status for outcome in outcomes)
    return (
        f"{count.total() - count['skipped']} run: {count['passed']} passed, {count['failed']} failed, "
        f"{count['expected failure']} failed as expected; {count['skipped']} skipped"
    )
