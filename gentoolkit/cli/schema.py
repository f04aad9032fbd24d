"""`gentool schema`."""

from __future__ import annotations

import json

import click


@click.command("schema")
def command() -> None:
    """Print the JSON schema of recipes, including all installed plugins, for completion in an editor.

    To use it, put `# yaml-language-server: $schema=recipe.schema.json` at the top of a recipe.

    \b
    Example:
      gentool schema > recipe.schema.json
    """
    from gentoolkit.plugins import load_plugins
    from gentoolkit.recipe import recipe_schema

    click.echo(json.dumps(recipe_schema(load_plugins().registry), indent=2))
