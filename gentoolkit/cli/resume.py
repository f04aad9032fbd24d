"""`gentool resume`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gentoolkit.cli.options import json_option, quiet_option, run_argument, write_result


@click.command("resume")
@run_argument
@json_option
@quiet_option
def command(run: Path, as_json: bool, quiet: bool) -> None:
    """Continue RUN from its newest valid checkpoint, as if it had never stopped.

    On the same machine the weights come out bit for bit as without the interruption.

    \b
    Example:
      gentool resume runs/dit_flow-1
    """
    from gentoolkit.cli.progress import Progress
    from gentoolkit.cli.results import show_results
    from gentoolkit.pipeline import resume

    with Progress(quiet) as progress:
        finished = resume(run, command=sys.argv, progress=progress)
    write_result(finished.summary(), as_json, lambda: show_results(finished))
