"""`gentool data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gentoolkit.cli.options import json_option, overrides_argument, recipe_argument, write_result

if TYPE_CHECKING:
    from gentoolkit.api import Labels
    from gentoolkit.pipeline.inspection import DataSummary, SplitSummary, Values

#: Number of classes that are listed one by one.
LISTED = 20


@click.command("data")
@recipe_argument
@overrides_argument
@click.option(
    "--samples", type=click.IntRange(1, 10**9), default=20_000, show_default=True, help="Samples of each split to read."
)
@click.option("--picture", type=click.Path(path_type=Path), help="PNG file for a sheet of samples.")
@json_option
def command(recipe: Path, overrides: tuple[str, ...], samples: int, picture: Path | None, as_json: bool) -> None:
    """Summarize the dataset of RECIPE; nothing is trained.

    For each split: the number of samples in total and in each class, the range of the values, and how many samples
    repeat an earlier one. Then the number of held-out samples that are also in the training split, and the time to read
    a batch.

    \b
    Example:
      gentool data recipes/smoke.yaml dataset.channels=3 --picture data.png
    """
    from gentoolkit.plugins import load_plugins
    from gentoolkit.recipe import load_recipe

    checked = load_recipe(recipe, overrides, registry=load_plugins().registry)
    from gentoolkit.pipeline.inspection import inspect_data

    summary = inspect_data(checked, samples, picture)
    written = {} if picture is None else {"picture": str(picture)}
    write_result(summary.content() | written, as_json, lambda: show(summary, picture))


def show(summary: DataSummary, picture: Path | None) -> None:
    """Print the summary: a table with a column for each split, and what concerns both."""
    from rich.console import Console
    from rich.table import Table

    from gentoolkit.api import Array, Labels

    spec = summary.spec
    values = f" in [{spec.value_range[0]:g}, {spec.value_range[1]:g}]" if spec.value_range else ""
    match spec.condition:
        case Labels(count):
            condition = f", {count} classes"
        case Array(shape):
            condition = f", conditions {shape}"
        case _:
            condition = ""
    click.echo(
        f"dataset {summary.dataset}: samples {spec.shape}{values}{condition}{', in pairs' if spec.paired else ''}"
    )
    labels = spec.condition if isinstance(spec.condition, Labels) else None
    rows = {name: described(split, labels) for name, split in summary.splits.items()}
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in rows:
        table.add_column(name)
    for title in dict.fromkeys(title for row in rows.values() for title in row):
        table.add_row(title, *(row.get(title, "") for row in rows.values()))
    Console(width=120, highlight=False).print(table)
    partly = ", of those read" if any(split.read < split.samples for split in summary.splits.values()) else ""
    click.echo(f"held-out samples that are also training samples{partly}: {summary.shared}")
    if summary.batch_ms is not None:
        click.echo(f"a batch of {summary.batch_size} takes {summary.batch_ms:.3g} ms to read (median of several)")
    if picture is not None:
        click.echo(f"picture: {picture}")


def described(split: SplitSummary, labels: Labels | None) -> dict[str, str]:
    """Return the rows of the table for a split, whose samples may have labels."""
    rows = {"samples": f"{split.samples}"}
    if split.read < split.samples:
        rows["read, evenly spread"] = f"{split.read}"
    if len(split.classes) > LISTED:
        counts = split.classes.values()
        rows[f"each of {len(counts)} classes"] = f"{min(counts)} to {max(counts)}"
    else:
        names = {label: f" ({labels.name(int(label))})" for label in split.classes} if labels and labels.names else {}
        rows |= {f"class {label}{names.get(label, '')}": f"{count}" for label, count in split.classes.items()}
    rows |= {name: values_text(values) for name, values in split.values.items()}
    return rows | {"repeated samples": f"{split.repeated}"}


def values_text(values: Values) -> str:
    """Return the statistics as text."""
    if not values.count:
        return f"{values.not_finite} not finite"
    text = f"{values.min:.4g} to {values.max:.4g}, mean {values.mean:.4g}, std {values.std:.4g}"
    return text if not values.not_finite else f"{text}; {values.not_finite} not finite"
