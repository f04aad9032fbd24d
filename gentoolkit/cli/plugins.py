"""`gentool plugins`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gentoolkit.cli.options import json_option, write_result
from gentoolkit.kinds import KINDS
from gentoolkit.verbs import added_verbs, declared_verbs

if TYPE_CHECKING:
    from gentoolkit.plugins import Plugins


@click.command("plugins")
@click.option("--kind", type=click.Choice([*KINDS]), metavar="KIND", help=f"One of {', '.join(KINDS)}.")
@json_option
def command(kind: str | None, as_json: bool) -> None:
    """List the installed plugins, their components and commands, and plugins that could not be loaded.

    \b
    Example:
      gentool plugins --kind path
    """
    from gentoolkit.plugins import load_plugins

    found = as_data(load_plugins(), kind)
    write_result(found, as_json, lambda: show(found))


def as_data(plugins: Plugins, kind: str | None) -> dict[str, Any]:
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
            }
            for plugin in plugins.loaded
        ],
        "commands": [
            {"name": verb.name, "distribution": verb.distribution, "version": verb.version}
            for verb in added_verbs().values()
            if kind is None
        ],
        "quarantined": [
            *map(vars, plugins.quarantined),
            *(
                {"name": verb.name, "distribution": verb.distribution, "version": verb.version, "reason": verb.fault}
                for verb in declared_verbs()
                if verb.fault
            ),
        ],
    }


def show(found: dict[str, Any]) -> None:
    """Print a line for each component and command, then what could not be loaded."""
    origins = [(part["kind"], part["type"], plugin) for plugin in found["plugins"] for part in plugin["components"]]
    origins += [("command", command["name"], command) for command in found["commands"]]
    rows = sorted((kind, name, f"{origin['distribution']} {origin['version']}") for kind, name, origin in origins)
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    for kind, name, package in rows:
        click.echo(f"{kind:<{widths[0]}}  {name:<{widths[1]}}  {package}")
    for bad in found["quarantined"]:
        click.echo(f"not loaded: {bad['name']} ({bad['distribution']} {bad['version']}): {bad['reason']}")
