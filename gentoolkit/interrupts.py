"""Handling of Ctrl-C and SIGTERM: training stops between two steps, after saving a checkpoint."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignal:
    """Context manager that only records the first SIGINT or SIGTERM. A second one has its usual effect.

    Attributes:
        number: The signal that was received, or None.
    """

    number: int | None = None
    _at_once = False

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._restore()
        if self._at_once:
            raise KeyboardInterrupt

    def act_at_once(self) -> None:
        """Raise KeyboardInterrupt on the first signal from now on, or immediately if one was already received."""
        self._at_once = True
        if self.number is not None:
            raise KeyboardInterrupt

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __exit__(self, *error: object) -> None:
        self._restore()
