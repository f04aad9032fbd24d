"""`gentool run`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from gentoolkit.cli.options import json_option, overrides_argument, quiet_option, recipe_argument, write_result


@click.command("run")
@recipe_argument
@overrides_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="runs",
    show_default=True,
    help="Folder in which to create the run.",
)
@click.option(
    "--init-from",
    type=click.Path(path_type=Path),
    help="Start from the trained weights of a run or checkpoint, with a new optimizer; sets init_from.",
)
@json_option
@quiet_option
def command(
    recipe: Path, overrides: tuple[str, ...], out: Path, init_from: Path | None, as_json: bool, quiet: bool
) -> None:
    """Train, sample, evaluate and report what RECIPE describes.

    Each run gets a new directory; nothing is overwritten. Ctrl-C finishes the current step, saves a checkpoint and
    prints how to resume.

    \b
    Example:
      gentool run recipes/smoke.yaml train.steps=20 backbone.depth=2
      gentool run recipes/smoke.yaml --init-from runs/smoke-1
    """
    from gentoolkit.plugins import load_plugins
    from gentoolkit.recipe import load_recipe
    from gentoolkit.rundir import check_writable

    plugins = load_plugins()
    if init_from is not None:
        overrides += (f"init_from={json.dumps(str(init_from.absolute()))}",)
    checked = load_recipe(recipe, overrides, registry=plugins.registry)
    check_writable(out)
    from gentoolkit.cli.progress import Progress
    from gentoolkit.cli.results import show_results
    from gentoolkit.pipeline import run

    with Progress(quiet) as progress:
        finished = run(checked, out, plugins=plugins, command=sys.argv, progress=progress)
    write_result(finished.summary(), as_json, lambda: show_results(finished))
