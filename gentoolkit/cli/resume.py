"""`gentool resume`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gentoolkit.cli.options import json_option, overrides_argument, quiet_option, run_argument, write_result


@click.command("resume")
@run_argument
@overrides_argument
@click.option("--force", is_flag=True, help="Continue although something that is trained has changed; record it.")
@json_option
@quiet_option
def command(run: Path, overrides: tuple[str, ...], force: bool, as_json: bool, quiet: bool) -> None:
    """Continue RUN from its newest valid checkpoint, as if it had never stopped.

    On the same machine the weights are bit for bit those of a run without the interruption. A run whose
    resolved.yaml or plugins are not what the checkpoint was trained with is refused, unless --force is given.

    FIELD=VALUE changes the length (train.steps, train.epochs) or what is not trained. With a new length the
    learning rates are recomputed for it from the present step on: a schedule that had fallen to zero rises again.

    \b
    Example:
      gentool resume runs/dit_flow-1
      gentool resume runs/dit_flow-1 train.steps=400
    """
    from gentoolkit.cli.progress import Progress
    from gentoolkit.cli.results import show_results
    from gentoolkit.pipeline import resume

    with Progress(quiet) as progress:
        finished = resume(run, overrides, force=force, command=sys.argv, progress=progress)
    write_result(finished.summary(), as_json, lambda: show_results(finished))
