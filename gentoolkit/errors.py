"""The exceptions that gentoolkit raises, each with its exit code on the command line."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path


class GentoolError(Exception):
    """Base class of all errors with a message for the user. The command line prints the message without a traceback.

    Args:
        message: What is wrong, where, and what to do about it.
        kind: The kind of the component at fault, such as "backbone", for code that does not know the recipe. The run
            adds the component's name to the message.

    Attributes:
        exit_code: The exit code of the process if the error reaches the command line.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, kind: str | None = None) -> None:
        self.kind = kind
        super().__init__(message)


class UsageError(GentoolError):
    """A command or one of its arguments is invalid."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe is invalid. `problems` has one line per error, in the form `file:line:column: path: message`."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class UnknownComponentError(UsageError):
    """No installed plugin has a component of the requested kind and name."""


class PluginError(GentoolError):
    """A plugin violates the plugin interface, or one of its components raised an exception during a run."""


class NonFiniteError(GentoolError):
    """A loss, gradient, weight or sample is infinite or NaN."""

    exit_code = 3


class NoCheckpointError(GentoolError):
    """There is no valid checkpoint: none exists, or all are damaged or incomplete."""

    exit_code = 4


class OutOfSpaceError(GentoolError):
    """The disk or the memory is full."""

    exit_code = 5


class InterruptedRun(GentoolError):  # noqa: N818 - an event that ends a run, not a fault
    """A signal stopped the run; the message says what was saved. `exit_code` is 128 plus the signal number."""

    def __init__(self, message: str, signal_number: int) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(message)


def raise_together(*checks: Callable[[], object]) -> None:
    """Run all checks and raise a single UsageError with the messages of those that failed, one per line."""
    problems: list[str] = []
    for check in checks:
        try:
            check()
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError("\n".join(problems))


def writing_failed(error: OSError, message: str, hint: str = "") -> GentoolError:
    """Return the exception for a failed write: OutOfSpaceError if the disk is full, UsageError otherwise."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpaceError(joined(f"{message}: the disk is full", hint))
    return UsageError(joined(f"{message}: {error.strerror}", hint))


def is_out_of_space(error: BaseException) -> bool:
    """Return whether the error means that the disk or the memory (of the CPU or a device) is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM)
    # torch.OutOfMemoryError is matched by name to avoid importing torch. CPU and MPS raise a RuntimeError.
    names = {base.__name__ for base in type(error).__mro__}
    words = ("can't allocate memory", "out of memory", "Storage size calculation overflowed")
    return bool({"MemoryError", "OutOfMemoryError"} & names) or any(word in str(error) for word in words)


def last_line(error: BaseException) -> str:
    """Return "Type: message" on one line, as at the end of a traceback; without the type for a GentoolError."""
    import traceback  # imported here to keep `gentool --help` fast

    text = str(error) if isinstance(error, GentoolError) else traceback.format_exception_only(error)[-1]
    return " ".join(text.split())


def place_in(package: str, error: BaseException) -> str:
    """Return " (file:line)" for the innermost frame of a package in the error's traceback, or "" if it has none."""
    import traceback

    lines = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__", "").partition(".")[0] == package
    ]
    if isinstance(error, SyntaxError) and error.filename:
        lines.append((error.filename, error.lineno or 0))
    return f" ({'/'.join(Path(lines[-1][0]).parts[-2:])}:{lines[-1][1]})" if lines else ""


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for the choice most similar to `name`, or "" if none is similar."""
    near = get_close_matches(name, list(choices), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def joined(*parts: str) -> str:
    """Join the non-empty parts of an error message with "; "."""
    return "; ".join(filter(None, parts))


def listing(choices: Iterable[object]) -> str:
    """Return the choices, sorted, as "'a', 'b', 'c'" for an error message."""
    return ", ".join(sorted(repr(choice) for choice in choices)) or "none"
