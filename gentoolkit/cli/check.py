"""`gentool check`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from gentoolkit.cli.options import json_option, write_result

if TYPE_CHECKING:
    from gentoolkit.testing.outcomes import Outcome, Planned


@click.command("check")
@click.argument("distribution")
@click.option(
    "-v", "--verbose", is_flag=True, help="List every contract with what it requires, also those that passed."
)
@json_option
def command(distribution: str, verbose: bool, as_json: bool) -> None:
    """Test every component and command of DISTRIBUTION, an installed pip package, against its contracts.

    Results are printed as they arrive. The contracts run in a separate process: a contract that crashes it or takes
    longer than ten minutes fails, and the remaining contracts still run. The exit code is 1 if any contract fails.

    \b
    Example:
      gentool check gentoolkit
    """
    from gentoolkit.plugins import load_plugins
    from gentoolkit.testing.outcomes import summary
    from gentoolkit.testing.worker import need_plugins, supervised

    outcomes: list[Outcome] = []
    under_way = None
    for planned, outcome in supervised(need_plugins(distribution, load_plugins())):
        if outcome is not None:
            outcomes.append(outcome)
            if not as_json and (verbose or outcome.status != "passed"):
                click.echo(_line(planned, outcome, verbose))
        elif planned.subject != under_way:
            under_way = planned.subject
            if not as_json and sys.stderr.isatty():
                click.echo(f"checking {planned.kind} {planned.component} ...", err=True)
    write_result([vars(outcome) for outcome in outcomes], as_json, lambda: click.echo(summary(outcomes)))
    if any(outcome.status == "failed" for outcome in outcomes):
        raise click.exceptions.Exit(1)


def _line(planned: Planned, outcome: Outcome, verbose: bool) -> str:
    """Return the outcome as one line. If `verbose`, add the requirement, and put the message on a second line."""
    demand = f": {planned.headline}" if verbose else ""
    message = outcome.message and f"{chr(10) + '  ' if verbose else ': '}{outcome.message}"
    return f"{outcome.status}: {outcome.component} {outcome.contract}{demand}{message}"
