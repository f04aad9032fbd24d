"""Points from a table: a CSV file with a row for each point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from gentoolkit.api import Array, Component, DataFile, DatasetConfig, DataSpec, Labels, hookimpl


class TableConfig(DatasetConfig):
    """Points from a CSV file in UTF-8. The first line has the names of the columns, each other line is a point.

    Whether a point is held out depends on its values alone: it stays in its split when rows are added or moved, and
    equal points are in the same split. Empty cells and text are refused, with their line and column.
    """

    file: DataFile
    """The CSV file."""
    columns: tuple[str, ...] | None = Field(default=None, min_length=1)
    """The columns that make a point, in this order. By default, all that are neither the label nor conditions."""
    label: str | None = None
    """The column with the class. Its distinct values, sorted as numbers or else as text, are classes 0, 1, ..."""
    conditions: tuple[str, ...] = ()
    """The columns that make the condition, a vector, instead of a label."""
    separator: str = Field(default=",", min_length=1, max_length=1)
    """The character between cells: a comma, a semicolon or, written "\\t", a tab."""
    held_out: float = Field(default=0.1, gt=0, lt=1)
    """Probability that a point is in the held-out split."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.label is not None and self.conditions:
            raise ValueError("set either label or conditions")
        named = [*(self.columns or ()), *self.conditions, *([] if self.label is None else [self.label])]
        if repeated := [name for name, count in Counter(named).items() if count > 1]:
            raise ValueError(f"column {repeated[0]!r} is named twice")
        if self.separator in '"\r\n':
            raise ValueError("separator can't be a quotation mark or the end of a line")
        return self

    def spec(self) -> DataSpec:
        """Return (number of columns,), with the label or the condition. Raise UsageError if the file can't be used."""
        from .rows import read

        rows = read(self)
        labels = Labels(len(rows.classes), names=rows.classes) if self.label is not None else None
        return DataSpec((rows.width,), Array((len(self.conditions),)) if self.conditions else labels)


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the dataset."""
    tiny = {"file": str(Path(__file__).with_name("tiny.csv")), "label": "kind", "held_out": 0.3}
    yield Component("table", TableConfig, f"{__name__}.dataset:Table", tiny=tiny)
