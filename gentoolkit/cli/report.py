"""`gentool report`."""

from __future__ import annotations

from pathlib import Path

import click

from gentoolkit.cli.options import json_option, run_argument, write_result


@click.command("report")
@run_argument
@json_option
def command(run: Path, as_json: bool) -> None:
    """Redraw the pictures of RUN from its newest weights, and rebuild report.html from its recorded results.

    \b
    Example:
      gentool report runs/dit_flow-1
    """
    from gentoolkit.pipeline import open_run

    page = str(open_run(run).report())
    write_result({"report": page}, as_json, lambda: click.echo(page))
