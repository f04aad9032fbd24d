"""`gentool check`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from gentoolkit.cli.options import json_option, write_result

if TYPE_CHECKING:
    from gentoolkit.testing import Outcome


@click.command("check")
@click.argument("distribution")
@click.option("-v", "--verbose", is_flag=True, help="List every contract, passed or not, with what it demands.")
@json_option
def command(distribution: str, verbose: bool, as_json: bool) -> None:
    """Run the contracts on every component of DISTRIBUTION, a pip package's name.

    The exit code is 1 if any contract fails.

    \b
    Example:
      gentool check gentoolkit
    """
    from gentoolkit.plugins import load_plugins
    from gentoolkit.testing import check_entry, entries_of, summary

    outcomes: list[Outcome] = []
    for entry in entries_of(distribution, load_plugins()):
        if not as_json and sys.stderr.isatty():
            click.echo(f"checking {entry.kind} {entry.name} ...", err=True)
        outcomes += check_entry(entry)

    def show() -> None:
        for outcome in outcomes:
            if verbose or outcome.status != "passed":
                click.echo(_told(outcome, verbose))
        click.echo(summary(outcomes))

    write_result([vars(outcome) for outcome in outcomes], as_json, show)
    if any(outcome.status == "failed" for outcome in outcomes):
        raise click.exceptions.Exit(1)


def _told(outcome: Outcome, verbose: bool) -> str:
    """Return the outcome in a line; with what the contract demands, and then why it did not pass, in `verbose`."""
    from gentoolkit.testing import CONTRACTS

    demand = f": {CONTRACTS[outcome.contract].headline}" if verbose else ""
    reason = outcome.message and f"{chr(10) + '  ' if verbose else ': '}{outcome.message}"
    return f"{outcome.status}: {outcome.component} {outcome.contract}{demand}{reason}"
