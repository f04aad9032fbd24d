"""`gentool resume`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gentoolkit.cli.options import json_option, overrides_argument, quiet_option, run_argument, write_result


@click.command("resume")
@run_argument
@overrides_argument
@click.option("--force", is_flag=True, help="Accept changes that affect training. They are recorded.")
@json_option
@quiet_option
def command(run: Path, overrides: tuple[str, ...], force: bool, as_json: bool, quiet: bool) -> None:
    """Continue RUN from its newest valid checkpoint, as if it had never stopped.

    On the same machine, the weights are bit for bit those of an uninterrupted run. If resolved.yaml or a plugin
    version has changed since the checkpoint in a way that affects training, the run is not resumed unless --force is
    given.

    FIELD=VALUE changes the length of training (train.steps, train.epochs) or settings that do not affect training. With
    a new length, the learning-rate schedule is recomputed from the current step on: rates that had decayed to zero
    rise again.

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
