"""Turn exceptions into a message on stderr and an exit code."""

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
    """A stream that discards output, instead of failing, once its reader or terminal is gone."""

    def write(self, data: Any) -> int:
        try:
            written = super().write(data)
        except OSError:
            written = None
        return len(data) if written is None else written  # FileIO returns None if it would block


def keep_streams() -> None:
    """Ensure that the three standard streams exist and that a failed write to stderr does not end the program.

    A stream that was closed before the start is replaced by the null device. Otherwise the next file that is opened
    would get its descriptor, and library output would end up in that file.
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
    """Run the command with `sys.argv`, print errors on stderr, and return the exit code."""
    try:
        warnings.showwarning = show_warning
        code = command.main(standalone_mode=False)
        sys.stdout.flush()
        # click returns the code of an Exit, or else the verb's return value.
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        cause = error.__cause__ or error  # click chains Abort to the KeyboardInterrupt, which may say where
        click.echo(f"interrupted {cause}".rstrip(), err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the pipe is gone (`gentool ls | head -1`). Keep Python from flushing into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except GentoolError as error:
        # A run that was stopped and saved is not an error.
        click.echo(f"{error}" if isinstance(error, InterruptedRun) else f"error: {error}", err=True)
        return error.exit_code
    except Exception as error:
        return _unexpected(error)


def show_warning(message: Warning | str, *place: object, **more: object) -> None:
    """Print a warning on stderr as one line, without its location in the code."""
    click.echo(f"warning: {message}", err=True)


def _unexpected(error: Exception) -> int:
    if is_out_of_space(error):
        click.echo(f"error: out of disk or memory: {error}", err=True)
        return OutOfSpaceError.exit_code
    if isinstance(error, OSError) and error.filename is not None:
        click.echo(f"error: {error.filename}: {error.strerror}", err=True)
        return GentoolError.exit_code
    import traceback  # imported here to keep `gentool --help` fast

    traceback.print_exception(error)
    click.echo(
        "error: this is a bug in gentoolkit or in a plugin, not a problem with your input; please report it", err=True
    )
    return GentoolError.exit_code
