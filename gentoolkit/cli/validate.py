"""`gentool validate`."""

from __future__ import annotations

from pathlib import Path

import click

from gentoolkit.cli.options import json_option, overrides_argument, recipe_argument, write_result


@click.command("validate")
@recipe_argument
@overrides_argument
@json_option
def command(recipe: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check RECIPE without training anything; --json shows it with every default filled in.

    All faults are told at once, each with its line and column; the exit code is then 2.

    \b
    Example:
      gentool validate recipes/dit_flow.yaml backbone.patch_size=4
    """
    from gentoolkit.plugins import load_plugins
    from gentoolkit.recipe import load_recipe

    plugins = load_plugins()
    checked = load_recipe(recipe, overrides, registry=plugins.registry)
    write_result(checked.resolved(), as_json, lambda: click.echo(f"{recipe}: ok"))
