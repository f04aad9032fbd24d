"""`gentool ls`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from gentoolkit.cli.options import json_option, write_result
from gentoolkit.rundir import list_runs


@click.command("ls")
@click.argument("root", type=click.Path(path_type=Path), default=Path("runs"))
@json_option
def command(root: Path, as_json: bool) -> None:
    """List the runs in ROOT (default: runs), oldest first.

    \b
    Example:
      gentool ls
    """
    runs = [run.status() for run in list_runs(root)]
    write_result(runs, as_json, lambda: show(runs, root))


def show(runs: list[dict[str, Any]], root: Path) -> None:
    """Print one line per run. Losses are shown with their path, since only losses on the same path are comparable."""
    if not runs:
        click.echo(f"no runs in {root}; start one with: gentool run recipes/smoke.yaml", err=True)
    width = max((len(run["run"]) for run in runs), default=0)
    for run in runs:
        loss = "" if run["validation_loss"] is None else f"validation loss {run['validation_loss']:.4f}"
        if loss and run["path"]:
            loss += f" ({run['path']} path)"
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(run["started"]))
        click.echo(f"{run['run']:<{width}}  {run['state']:<10}  step {run['step']:<7}  {started}  {loss}".rstrip())
