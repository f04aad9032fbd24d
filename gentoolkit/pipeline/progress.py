"""How a run shows how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What shows how far a run is; `gentoolkit.cli.progress.Progress` is one."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Begin a stage of `total` units, of which `done` are done."""

    def advance(self, done: int, note: str = "") -> None:
        """Show that `done` units of the stage are done."""

    def say(self, message: str) -> None:
        """Show a line that stays."""


class Silent:
    """Shows nothing."""

    def start(self, stage: str, total: int, done: int = 0) -> None: ...  # noqa: D102
    def advance(self, done: int, note: str = "") -> None: ...  # noqa: D102
    def say(self, message: str) -> None: ...  # noqa: D102
