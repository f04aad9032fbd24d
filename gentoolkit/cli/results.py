"""A run's figures as text on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from gentoolkit.pipeline import Run


def show_results(run: Run) -> None:
    """Print the figures, the times, and where the pictures and the page are."""
    summary = run.summary()
    if summary["evaluation"]:
        show_evaluation(summary["evaluation"])
    if summary["seconds"]:
        click.echo("seconds: " + ", ".join(f"{name} {value:.0f}" for name, value in summary["seconds"].items()))
    click.echo(f"pictures: {run.directory.images}")
    click.echo(f"report:   {run.directory.report}")


def show_evaluation(figures: dict[str, Any]) -> None:
    """Print the validation loss beside its optimum, and each metric beside exact field and floor, class by class."""
    validation = figures["validation"]
    optimum = validation["optimum"]
    beside = "" if optimum is None else f" (optimum {optimum:.4f}, exact for Gaussian classes)"
    click.echo(f"validation loss {number(validation['loss'])}{beside}")
    if not figures["metrics"]:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("metric")
    table.add_column("class")
    exact = any(metric.get("exact") is not None for metric in figures["metrics"])
    for name in ("generated", *(["exact field"] if exact else []), "floor", "optimum"):
        table.add_column(name, justify="right")
    for metric in figures["metrics"]:
        # Data without classes is one group, which is its own mean.
        rows = metric["per_class"] | ({"mean": metric} if len(metric["per_class"]) > 1 else {})
        for group, row in rows.items():
            shown = [row["value"], *([row["exact"]] if exact else []), row["floor"]]
            values = (*map(number, shown), f"{metric['optimum']:g}")
            table.add_row(metric["name"] if group == next(iter(rows)) else "", group, *values)
    Console(soft_wrap=True).print(table)
    count = figures["samples_per_class"]
    beside = "; exact field: what a perfect network would score with this sampler" if exact else ""
    click.echo(f"{count} samples a class{beside}; floor: the same between two real sets of that many")


def number(value: float | None) -> str:
    """Return four decimals, or a dash where there is no number."""
    return "-" if value is None else f"{value:.4f}"
