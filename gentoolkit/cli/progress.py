"""Progress on stderr: a progress bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

#: Seconds between plain lines.
LINE_SECONDS = 10.0


class Progress:
    """Progress display for each stage of a run. A context manager, which restores the terminal."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False, quiet=quiet)
        self.bars: Bars | None = None
        self.task: TaskID | None = None
        self.stage, self.total = "", 0
        self.line_at, self.line_done = 0.0, 0  # time and units done at the last plain line
        if self.console.is_terminal and not quiet:
            columns = (
                TextColumn("{task.description:<9}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("eta"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
            )
            self.bars = Bars(*columns, console=self.console, refresh_per_second=4)

    def __enter__(self) -> Progress:
        if self.bars:
            self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.bars:
            self.bars.stop()

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Begin a stage of `total` units, of which `done` are already done."""
        self.stage, self.total = stage, total
        self.line_at, self.line_done = time.monotonic(), done
        if self.bars:
            self.task = self.bars.add_task(stage, total=total, completed=done, note="")

    def advance(self, done: int, note: str = "") -> None:
        """Show that `done` units of the stage are done."""
        if self.bars and self.task is not None:
            self.bars.update(self.task, completed=done, note=note)
        elif not self.quiet and (done == self.total or time.monotonic() - self.line_at > LINE_SECONDS):
            now = time.monotonic()
            left = time_left(now - self.line_at, done - self.line_done, self.total - done)
            self.line_at, self.line_done = now, done
            print(
                " ".join(filter(None, [f"{self.stage} {done}/{self.total}", note, left])), file=sys.stderr, flush=True
            )

    def say(self, message: str) -> None:
        """Print a message above the progress bar."""
        if self.bars:
            self.bars.console.print(message, markup=False, soft_wrap=True)
        elif not self.quiet:
            print(message, file=sys.stderr, flush=True)


def time_left(seconds: float, done: int, left: int) -> str:
    """Return "about 1:05 left" for `left` units at a rate of `done` units in `seconds`, or "" if none are left."""
    if done <= 0 or left <= 0:
        return ""
    minutes, rest = divmod(round(left * seconds / done), 60)
    hours, minutes = divmod(minutes, 60)
    return f"about {f'{hours}:{minutes:02}' if hours else minutes}:{rest:02} left"
