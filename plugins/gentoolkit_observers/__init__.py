"""Observers that keep the losses of a run in tables or for TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator

from gentoolkit.api import Component, ObserverConfig, hookimpl


class CsvConfig(ObserverConfig):
    """Writes `steps.csv` and `validations.csv` into the run's directory, with one row for each step or validation.

    A list, such as the losses by t, has one column for each element: `loss_by_t.0`, `loss_by_t.1`, ... When a run is
    resumed, the rows after its checkpoint are removed first.
    """


class TensorBoardConfig(ObserverConfig):
    """Writes the scalars of steps and validations for TensorBoard, into `tensorboard/` in the run's directory.

    Requires `pip install gentoolkit[tensorboard]`. To see them, run `tensorboard --logdir runs`.
    """


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the observers."""
    yield Component("csv", CsvConfig, f"{__name__}.tables:Csv")
    yield Component("tensorboard", TensorBoardConfig, f"{__name__}.board:TensorBoard")
