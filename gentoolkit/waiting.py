"""Watch imports that may be slow or may never finish, such as those of plugins."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

from gentoolkit.errors import PluginError

#: Seconds after which a slow import is reported or skipped.
PATIENCE = 10.0


class TookTooLong(BaseException):
    """Raised in the main thread to skip a slow import; not an Exception, so that plugins do not catch it."""


@contextmanager
def watched_import(what: str, give_up: bool) -> Iterator[None]:
    """Report on stderr every `PATIENCE` seconds that an import is still running.

    After the first report, Ctrl-C skips the import instead of ending the command. C code that does not return to Python
    is reported, but can't be skipped.

    Args:
        what: Description of the imported object, for the messages.
        give_up: Skip the import automatically after `PATIENCE` seconds; only in the main thread, and not on Windows.

    Raises:
        PluginError: The import was skipped.
        KeyboardInterrupt: Ctrl-C was pressed before the first report; the message names what was being imported.
    """
    done, began = threading.Event(), time.monotonic()
    announced = False

    def announce() -> None:
        nonlocal announced
        while not done.wait(PATIENCE * (2 if give_up else 1)):
            announced = True
            seconds = time.monotonic() - began
            print(f"still importing {what} ({seconds:.0f} s); press Ctrl-C to skip it", file=sys.stderr, flush=True)

    threading.Thread(target=announce, name="waiting", daemon=True).start()
    try:
        with _alarm() if give_up and hasattr(signal, "setitimer") and _in_main_thread() else nullcontext():
            yield
    except TookTooLong:
        message = f"the import took more than {PATIENCE:g} s"
        print(f"skipping {what}: {message}", file=sys.stderr, flush=True)
        raise PluginError(message) from None
    except KeyboardInterrupt:
        if announced:
            raise PluginError(f"the import was interrupted after {time.monotonic() - began:.0f} s") from None
        raise KeyboardInterrupt(f"while importing {what}") from None
    finally:
        done.set()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _alarm() -> Iterator[None]:
    """Raise TookTooLong every `PATIENCE` seconds, again and again in case it is swallowed."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
