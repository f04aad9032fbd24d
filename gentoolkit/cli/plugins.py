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
            }
            for plugin in plugins.loaded
        ],
        "commands": [
            {"name": verb.name, "distribution": verb.distribution, "version": verb.version}
            for verb in added_verbs().values()
            if kind is None
        ],
        "quarantined": [
            {"name": name, "distribution": distribution, "version": version, "reason": reason}
            for name, distribution, version, reason in not_loaded(plugins)
        ],
    }


def not_loaded(plugins: Plugins) -> list[tuple[str, str, str, str]]:
    """Return name, package, version and reason for each plugin and each command that `gentool` does not have."""
    faulty = [(v.name, v.distribution, v.version, v.fault) for v in declared_verbs() if v.fault]
    return [(bad.name, bad.distribution, bad.version, bad.reason) for bad in plugins.quarantined] + faulty


def show(plugins: Plugins, only: str | None = None) -> None:
    """Print a line for each component and command, or each component of one kind, then what could not be loaded."""
    rows = [
        (entry.kind, entry.name, f"{plugin.distribution} {plugin.version}")
        for plugin in plugins.loaded
        for entry in plugin.entries
        if only in (None, entry.kind)
    ]
    if only is None:
        rows += [("command", verb.name, f"{verb.distribution} {verb.version}") for verb in added_verbs().values()]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    for kind, name, origin in sorted(rows):
        click.echo(f"{kind:<{widths[0]}}  {name:<{widths[1]}}  {origin}")
    for name, distribution, version, reason in not_loaded(plugins):
        click.echo(f"not loaded: {name} ({distribution} {version}): {reason}")
