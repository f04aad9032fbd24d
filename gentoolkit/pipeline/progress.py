"""The interface for displaying the progress of a run."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A progress display, such as `gentoolkit.cli.progress.Progress`."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Begin a stage of `total` units, of which `done` are already done."""

    def advance(self, done: int, note: str = "") -> None:
        """Show that `done` units of the stage are done."""

    def say(self, message: str) -> None:
        """Show a message."""


class Silent:
    """A progress display that shows nothing."""

    def start(self, stage: str, total: int, done: int = 0) -> None: ...  # noqa: D102
    def advance(self, done: int, note: str = "") -> None: ...  # noqa: D102
    def say(self, message: str) -> None: ...  # noqa: D102
