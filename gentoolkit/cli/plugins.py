"""`gentool plugins`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gentoolkit.cli.options import json_option, write_result
from gentoolkit.kinds import KINDS

if TYPE_CHECKING:
    from gentoolkit.plugins import Plugins


@click.command("plugins")
@click.option("--kind", type=click.Choice([*KINDS]), metavar="KIND", help=f"One of {', '.join(KINDS)}.")
@json_option
def command(kind: str | None, as_json: bool) -> None:
    """List the installed plugins and their components, and plugins that could not be loaded.

    \b
    Example:
      gentool plugins --kind path
    """
    from gentoolkit.plugins import load_plugins

    plugins = load_plugins()
    write_result(as_data(plugins, kind), as_json, lambda: show(plugins, kind))


def as_data(plugins: Plugins, kind: str | None = None) -> dict[str, Any]:
    """Return the plugins as plain JSON data, with components of one kind or of all kinds."""
    return {
        "plugins": [
            {
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "components": [
                    {"kind": entry.kind, "type": entry.name} for entry in plugin.entries if kind in (None, entry.kind)
                ],
                "verbs": [verb.name for verb in plugin.commands],
            }
            for plugin in plugins.loaded
        ],
        "quarantined": [
            {"name": bad.name, "distribution": bad.distribution, "version": bad.version, "reason": bad.reason}
            for bad in plugins.quarantined
        ],
    }


def show(plugins: Plugins, only: str | None = None) -> None:
    """Print one line per component of one kind or of all kinds, then one line per plugin that could not be loaded."""
    rows = [
        (kind, name, f"{plugin.distribution} {plugin.version}")
        for plugin in plugins.loaded
        for kind, name in (
            *((entry.kind, entry.name) for entry in plugin.entries),
            *(("verb", verb.name or "") for verb in plugin.commands),
        )
        if only in (None, kind)
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    for kind, name, origin in sorted(rows):
        click.echo(f"{kind:<{widths[0]}}  {name:<{widths[1]}}  {origin}")
    for bad in plugins.quarantined:
        click.echo(f"not loaded: {bad.name} ({bad.distribution} {bad.version}): {bad.reason}")
