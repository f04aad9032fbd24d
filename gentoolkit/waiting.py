"""Waiting for what may take for ever, such as the import of a plugin."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

from gentoolkit.errors import PluginError

#: Seconds after which a wait is announced, or given up.
PATIENCE = 10.0


class TookTooLong(BaseException):
    """Ends a wait in the main thread; not an Exception, so that a plugin does not take it for one of its own."""


@contextmanager
def watched_import(what: str, give_up: bool) -> Iterator[None]:
    """Announce on stderr every `PATIENCE` seconds that an import still runs.

    Once that has been announced, Ctrl-C skips what is imported instead of ending the command. Code in C that does not
    return to Python can only be announced, neither skipped nor given up.

    Args:
        what: What is imported, for the messages.
        give_up: Skip it after `PATIENCE` seconds without being asked; only in the main thread, and not on Windows.

    Raises:
        PluginError: It was skipped.
        KeyboardInterrupt: Ctrl-C came before anything was announced; the message names what was being imported.
    """
    done, began = threading.Event(), time.monotonic()
    announced = False

    def announce() -> None:
        nonlocal announced
        while not done.wait(PATIENCE * (2 if give_up else 1)):
            announced = True
            seconds = time.monotonic() - began
            print(f"waiting for {what} to import ({seconds:.0f} s); Ctrl-C skips it", file=sys.stderr, flush=True)

    threading.Thread(target=announce, name="waiting", daemon=True).start()
    try:
        with _alarm() if give_up and hasattr(signal, "setitimer") and _in_main_thread() else nullcontext():
            yield
    except TookTooLong:
        message = f"its import took more than {PATIENCE:g} s"
        print(f"{what} is left out: {message}", file=sys.stderr, flush=True)
        raise PluginError(message) from None
    except KeyboardInterrupt:
        if announced:
            raise PluginError(f"interrupted while importing, after {time.monotonic() - began:.0f} s") from None
        raise KeyboardInterrupt(f"while importing {what}") from None
    finally:
        done.set()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _alarm() -> Iterator[None]:
    """Raise TookTooLong every `PATIENCE` seconds: what swallows the first one gets another."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
