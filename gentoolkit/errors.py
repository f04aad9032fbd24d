"""Every error that the toolkit raises on purpose, with the exit code it means on the command line."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path


class GentoolError(Exception):
    """An error with a message for the user: the value, the choices and the cure, never a traceback.

    Args:
        message: What the user reads.
        kind: The kind of the component at fault, for code that knows no recipe; the run then adds its name.

    Attributes:
        exit_code: What the process exits with when the error reaches the command line.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, kind: str | None = None) -> None:
        self.kind = kind
        super().__init__(message)


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
    """A plugin breaks the plugin interface, or one of its components raises an exception during a run."""


class NonFiniteError(GentoolError):
    """A loss, gradient, weight or sample is infinite or not a number."""

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


def raise_together(*checks: Callable[[], object]) -> None:
    """Make every check, and raise one UsageError with what all of them raised, a line each."""
    problems: list[str] = []
    for check in checks:
        try:
            check()
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError("\n".join(problems))


def writing_failed(error: OSError, message: str) -> GentoolError:
    """Return what to raise for a failed write: OutOfSpaceError where the disk is full, else UsageError(message)."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpaceError(f"{message}: the disk is full")
    return UsageError(f"{message}: {error.strerror}")


def is_out_of_space(error: BaseException) -> bool:
    """Return whether the error says that the disk or a memory is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM)
    # torch.OutOfMemoryError by name, so that torch need not be imported; CPU and MPS raise a RuntimeError.
    names = {base.__name__ for base in type(error).__mro__}
    words = ("can't allocate memory", "out of memory", "Storage size calculation overflowed")
    return bool({"MemoryError", "OutOfMemoryError"} & names) or any(word in str(error) for word in words)


def last_line(error: BaseException) -> str:
    """Return the end of the error's traceback on one line, without the type of our own errors."""
    import traceback  # here, so that `gentool --help` does not wait for it

    text = str(error) if isinstance(error, GentoolError) else traceback.format_exception_only(error)[-1]
    return " ".join(text.split())


def place_in(package: str, error: BaseException) -> str:
    """Return " (file:line)", where in a package the error arose; "" where its traceback has no line of the package."""
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
    """Return "did you mean 'x'?" for the choice nearest to `name`, or "" where none is near."""
    near = get_close_matches(name, list(choices), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def joined(*parts: str) -> str:
    """Return the parts of an error message that are not empty, with "; " between them."""
    return "; ".join(filter(None, parts))


def listing(choices: Iterable[object]) -> str:
    """Return the choices as "'a', 'b', 'c'" for an error message, sorted."""
    return ", ".join(sorted(repr(choice) for choice in choices)) or "none"
