"""`gentool validate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gentoolkit.cli.options import json_option, overrides_argument, recipe_argument, write_result
from gentoolkit.errors import RecipeError


@click.command("validate")
@recipe_argument
@overrides_argument
@json_option
def command(recipe: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check RECIPE without training.

    All errors are reported at once, each with its line and column, and the exit code is 2. With --json, the result is
    the recipe with all defaults filled in, or {"problems": [...]}.

    \b
    Example:
      gentool validate recipes/dit_flow.yaml backbone.patch_size=4
    """
    from gentoolkit.plugins import load_plugins
    from gentoolkit.recipe import load_recipe

    plugins = load_plugins()
    try:
        checked = load_recipe(recipe, overrides, registry=plugins.registry)
    except RecipeError as error:
        if not as_json:
            raise
        click.echo(json.dumps({"problems": error.problems}, indent=2))
        raise click.exceptions.Exit(error.exit_code) from None
    write_result(checked.resolved(), as_json, lambda: click.echo(f"{recipe}: ok"))
