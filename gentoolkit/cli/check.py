"""`gentool check`."""

from __future__ import annotations

import click

from gentoolkit.cli.options import json_option, write_result


@click.command("check")
@click.argument("distribution")
@json_option
def command(distribution: str, as_json: bool) -> None:
    """Run the contracts on every component of DISTRIBUTION, a pip package's name.

    The exit code is 1 if any contract fails.

    \b
    Example:
      gentool check gentoolkit
    """
    from gentoolkit.plugins import load_plugins
    from gentoolkit.testing import check, summary

    outcomes = check(distribution, load_plugins())

    def show() -> None:
        for outcome in outcomes:
            if outcome.status != "passed":
                click.echo(f"{outcome.status}: {outcome.component} {outcome.contract}: {outcome.message}")
        click.echo(summary(outcomes))

    write_result([vars(outcome) for outcome in outcomes], as_json, show)
    if any(outcome.status == "failed" for outcome in outcomes):
        raise click.exceptions.Exit(1)
