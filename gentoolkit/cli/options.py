"""Options and output shared by several verbs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

recipe_argument = click.argument("recipe", type=click.Path(path_type=Path))
run_argument = click.argument("run", type=click.Path(path_type=Path))
overrides_argument = click.argument("overrides", nargs=-1, metavar="[FIELD=VALUE]...")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
quiet_option = click.option("--quiet", is_flag=True, help="Do not show progress on stderr.")


def write_result(result: Any, as_json: bool, show: Callable[[], None]) -> None:
    """Print the result on stdout, as JSON if requested, otherwise by calling `show`."""
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        show()
