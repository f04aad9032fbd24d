"""Options and output that several verbs share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

recipe_argument = click.argument("recipe", type=click.Path(path_type=Path))
run_argument = click.argument("run", type=click.Path(path_type=Path))
overrides_argument = click.argument("overrides", nargs=-1, metavar="[FIELD=VALUE]...")
json_option = click.option("--json", "as_json", is_flag=True, help="Write the result to stdout as JSON.")
quiet_option = click.option("--quiet", is_flag=True, help="No progress on stderr.")
runs_option = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where runs are made."
)


def write_result(result: Any, as_json: bool, show: Callable[[], None]) -> None:
    """Write the result to stdout: as JSON where asked, else by `show`."""
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        show()
