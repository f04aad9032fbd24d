"""What an error becomes: a message on stderr and an exit code."""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import Any

import click

from gentoolkit.errors import GentoolError, InterruptedRun, OutOfSpaceError, is_out_of_space

INTERRUPTED = 130


class _Silenced(io.FileIO):
    """A stream that goes silent when its reader is gone or its terminal closed, instead of failing."""

    def write(self, data: Any) -> int:
        try:
            written = super().write(data)
        except OSError:
            written = None
        return len(data) if written is None else written  # FileIO returns None where it would have to wait


def keep_streams() -> None:
    """Make sure that the three standard streams are there, and that a failure to write to stderr ends nothing.

    A stream that was closed before the start becomes the null device. Its number would otherwise go to the next file
    that is opened, and what some library prints would end up in there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    raw = io.BufferedWriter(_Silenced(2, "w", closefd=False))
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    sys.stderr = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)


def exit_code_of(command: click.Command) -> int:
    """Run the command with `sys.argv` and return its exit code; errors are printed on stderr."""
    try:
        warnings.showwarning = show_warning
        code = command.main(standalone_mode=False)
        sys.stdout.flush()
        # click hands back the code of an Exit, and else what the verb returned.
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        cause = error.__cause__ or error  # click raises an Abort from a KeyboardInterrupt, which may say where
        click.echo(f"interrupted {cause}".rstrip(), err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe is gone (`gentool ls | head -1`); keep Python from flushing into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except GentoolError as error:
        # A run that was stopped and saved is no error.
        click.echo(f"{error}" if isinstance(error, InterruptedRun) else f"error: {error}", err=True)
        return error.exit_code
    except Exception as error:
        return _unexpected(error)


def show_warning(message: Warning | str, *place: object, **more: object) -> None:
    """Print a warning on stderr in one line, without the place in our code."""
    click.echo(f"warning: {message}", err=True)


def _unexpected(error: Exception) -> int:
    if is_out_of_space(error):
        click.echo(f"error: out of disk or memory: {error}", err=True)
        return OutOfSpaceError.exit_code
    if isinstance(error, OSError) and error.filename is not None:
        click.echo(f"error: {error.filename}: {error.strerror}", err=True)
        return GentoolError.exit_code
    import traceback  # here, so that `gentool --help` does not wait for it

    traceback.print_exception(error)
    click.echo("error: this is a fault of gentoolkit or of a plugin, not of your input; please report it", err=True)
    return GentoolError.exit_code
