"""The results of a run as text on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from gentoolkit.records import Evaluation, Finished, last

if TYPE_CHECKING:
    from gentoolkit.pipeline import Run


def show_results(run: Run) -> None:
    """Print the results, the times, and the paths of the pictures and the report."""
    records = run.directory.records()
    if evaluation := last(records, Evaluation):
        show_evaluation(evaluation)
    if finished := last(records, Finished):
        click.echo("seconds: " + ", ".join(f"{name} {value:.0f}" for name, value in finished.seconds.items()))
    click.echo(f"pictures: {run.directory.images}")
    click.echo(f"report:   {run.directory.report}")


def show_evaluation(evaluation: Evaluation) -> None:
    """Print the validation loss and the metrics, per group, next to their reference values."""
    from gentoolkit.report import note, plus_minus, remarks

    validation, reference = evaluation.validation, evaluation.validation.reference
    click.echo(f"validation loss {number(validation.loss)}, {validation.path} path")
    if reference:
        excess = plus_minus(reference.excess, reference.excess_error)
        click.echo(f"  {reference.name} {number(reference.loss)} on the same samples; excess {excess}")
        click.echo(f"  {reference.name}: {reference.explanation}")
    if not evaluation.metrics:
        return
    Console(width=120, highlight=False).print(_table(evaluation))
    for metric in evaluation.metrics:
        for line in remarks(metric):
            click.echo(f"{metric.name}: {line}")
    click.echo(note(evaluation))
    click.echo("floor: the same metric between two sets of real samples of that size. A value closer to the optimum")
    click.echo("does not mean better than real: samples that vary too little can score that.")
    if any(metric.pooled.value_std or metric.pooled.floor_std for metric in evaluation.metrics):
        click.echo("±: one standard deviation of the value from one set of samples to another.")
    if evaluation.reference:
        click.echo(f"{evaluation.reference.name}: samples of that field, drawn with the same sampler and noise.")


def _table(evaluation: Evaluation) -> Table:
    from gentoolkit.report import plus_minus, split_rows

    reference = evaluation.reference.name if evaluation.reference else None
    columns = {"value": "generated", "reference": reference, "floor": "floor"}
    shown = {key: name for key, name in columns.items() if name}
    table = Table(box=None, pad_edge=False)
    table.add_column("metric")
    table.add_column("class")
    for name in (*shown.values(), "optimum"):
        table.add_column(name, justify="right")
    for metric in evaluation.metrics:
        rows, totals = split_rows(metric)
        for group, row in (rows | totals).items():
            values = [plus_minus(getattr(row, key), getattr(row, f"{key}_std")) for key in shown]
            table.add_row(metric.name if group == next(iter(rows)) else "", group, *values, f"{metric.optimum:g}")
    return table


def number(value: float | None) -> str:
    """Return the number with four decimals, or a dash for None."""
    return "-" if value is None else f"{value:.4f}"
