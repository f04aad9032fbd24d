"""The base class of observers, which follow a run: loggers, dashboards, notifications."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Observer:
    """Follows a run. Derive from this class and override the methods that you need; none of them does anything here.

    A recipe lists observers. For each, the factory is called with its config and the run's directory, a `Path`. It must
    not write anything: the trial before a run builds observers too. Open files in `started`.

    An observer can't change or end its run: arguments are copies, what a method prints goes to stderr, and an exception
    is reported as a warning, once for each method.
    """

    def started(self, recipe: Mapping[str, Any], step: int) -> None:
        """Called when a run starts or is resumed.

        Args:
            recipe: The resolved recipe as plain data.
            step: Number of steps that are already trained: 0, or the step of the checkpoint from which the run
                continues. What an interrupted run recorded after that step is repeated.
        """

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Called after a logged step; `values` has its loss, velocity error, gradient norm and learning rates."""

    def validation(self, step: int, values: Mapping[str, Any]) -> None:
        """Called after a validation; `values` has `loss`, `loss_by_t` (a list) and the name of the `path`."""

    def checkpoint(self, step: int, checkpoint: Path) -> None:
        """Called after a checkpoint has been written and verified; `checkpoint` is its folder."""

    def samples(self, file: Path) -> None:
        """Called after samples have been written to `file`."""

    def failed(self, error: str) -> None:
        """Called when a run ends because of an error or a signal; `error` is the reason."""

    def finished(self, results: Mapping[str, Any]) -> None:
        """Called when a run has finished, with its paths, times and last evaluation."""

    def close(self) -> None:
        """Called last, after the run has finished, failed or been stopped."""
