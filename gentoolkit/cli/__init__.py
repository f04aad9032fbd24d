"""The command line: `gentool`. Each verb is a module of its own, imported when it is called for."""

from __future__ import annotations

from importlib import import_module

import click

#: Verb -> what it does. Kept here so that `gentool --help` imports no verb.
VERBS = {
    "run": "Train, sample, measure and report what a recipe says.",
    "resume": "Continue a run from its newest valid checkpoint.",
    "sample": "Draw samples from a run or a checkpoint.",
    "eval": "Measure a run or a checkpoint against held-out data.",
    "report": "Draw a run's pictures and page again.",
    "validate": "Check a recipe without training anything.",
    "plugins": "List the installed plugins and their components.",
    "check": "Run the contracts on a distribution's components.",
    "schema": "Write the JSON schema of a recipe, for an editor.",
    "ls": "List runs.",
}


class Verbs(click.Group):
    """The verbs above, and those that plugins add; nothing is imported before it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs of gentoolkit itself, in the order of use."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a verb's command; a name that is not ours is looked for in the plugins."""
        if cmd_name in VERBS:
            command: click.Command = import_module(f"gentoolkit.cli.{cmd_name}").command
            return command
        from gentoolkit.plugins import load_plugins

        added = {command.name: command for command in load_plugins().commands()}
        return added.get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs' one-line helps from the table, without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="gentoolkit", prog_name="gentool")
def cli() -> None:
    """Train, sample and measure generative models made of exchangeable parts.

    \b
    Example:
      gentool run recipes/smoke.yaml train.steps=20
    """


def main() -> None:
    """Run `gentool` and exit with the code that the design page lists."""
    from gentoolkit.cli.failures import exit_code_of

    raise SystemExit(exit_code_of(cli))
