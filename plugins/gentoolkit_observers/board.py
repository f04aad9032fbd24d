"""Scalars for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gentoolkit.api import UsageError
from gentoolkit.observers import Observer

from . import TensorBoardConfig


class TensorBoard(Observer):
    """Writes the numbers of steps as `step/NAME` and those of validations as `validation/NAME`.

    Raises:
        UsageError: tensorboard can't be imported.
    """

    writer: Any = None

    def __init__(self, config: TensorBoardConfig, directory: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError(f"{error}; for the observer tensorboard: pip install gentoolkit[tensorboard]") from error
        self.make_writer, self.folder = SummaryWriter, directory / "tensorboard"

    def started(self, recipe: Mapping[str, Any], step: int) -> None:
        """Open a file of events. TensorBoard then hides what an interrupted run wrote after `step`."""
        if self.folder.is_symlink():
            raise OSError(f"{self.folder} is a link; links inside a run are not followed")
        self.writer = self.make_writer(str(self.folder), purge_step=step + 1)

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of a step."""
        self._write("step", step, values)

    def validation(self, step: int, values: Mapping[str, Any]) -> None:
        """Write the numbers of a validation, and flush the file."""
        self._write("validation", step, values)
        self.writer.flush()

    def _write(self, event: str, step: int, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, float | int):
                self.writer.add_scalar(f"{event}/{name}", value, step)

    def close(self) -> None:
        """Write what is left, and close the file."""
        if self.writer is not None:
            self.writer.close()
