"""Every error that the toolkit raises on purpose, with the exit code it means on the command line."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from difflib import get_close_matches


class GentoolError(Exception):
    """An error with a message for the user: the value, the choices and the cure, never a traceback.

    Attributes:
        exit_code: What the process exits with when the error reaches the command line.
    """

    exit_code = 1


class UsageError(GentoolError):
    """The command, or an argument of it, makes no sense."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe is wrong. `problems` has one line per fault, each `file:line:column: path: message`."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class UnknownComponentError(UsageError):
    """No installed plugin offers a component of that kind and name."""


class PluginError(GentoolError):
    """A plugin declares something that the plugin interface does not allow."""


class NonFiniteError(GentoolError):
    """A loss or a gradient became infinite or not a number."""

    exit_code = 3


class NoCheckpointError(GentoolError):
    """There is no checkpoint, or none that passes its checksums and holds what it must."""

    exit_code = 4


class OutOfSpaceError(GentoolError):
    """The disk or the memory is full."""

    exit_code = 5


class InterruptedRun(GentoolError):  # noqa: N818 - an event that ends a run, not a fault
    """The run stopped on a signal; the message says what is saved. `exit_code` is 128 plus the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(message)


def writing_failed(error: OSError, message: str) -> GentoolError:
    """Return what to raise for a failed write: OutOfSpaceError where the disk is full, else UsageError(message)."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpaceError(f"{message}: the disk is full")
    return UsageError(f"{message}: {error.strerror}")


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for the choice nearest to `name`, or "" where none is near."""
    near = get_close_matches(name, list(choices), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def joined(*parts: str) -> str:
    """Return the parts of an error message that are not empty, with "; " between them."""
    return "; ".join(filter(None, parts))


def listing(choices: Iterable[object]) -> str:
    """Return the choices as "'a', 'b', 'c'" for an error message, sorted."""
    return ", ".join(sorted(repr(choice) for choice in choices)) or "none"
