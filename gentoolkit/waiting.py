"""Watch imports that may be slow or may never finish, such as those of plugins."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gentoolkit.errors import PluginError

#: Seconds after which a slow import is reported.
PATIENCE = 10.0


@contextmanager
def watched_import(what: str) -> Iterator[None]:
    """Report on stderr every `PATIENCE` seconds that the import of `what` is still running.

    After the first report, Ctrl-C skips the import instead of ending the command. C code that does not return to Python
    is reported, but can't be skipped.

    Raises:
        PluginError: The import was skipped.
        KeyboardInterrupt: Ctrl-C was pressed before the first report; the message names what was being imported.
    """
    done, began = threading.Event(), time.monotonic()
    announced = False

    def announce() -> None:
        nonlocal announced
        while not done.wait(PATIENCE):
            announced = True
            seconds = time.monotonic() - began
            print(f"still importing {what} ({seconds:.0f} s); press Ctrl-C to skip it", file=sys.stderr, flush=True)

    threading.Thread(target=announce, name="waiting", daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        if announced:
            raise PluginError(f"the import was interrupted after {time.monotonic() - began:.0f} s") from None
        raise KeyboardInterrupt(f"while importing {what}") from None
    finally:
        done.set()
