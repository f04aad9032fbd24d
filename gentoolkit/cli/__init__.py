"""The command line: `gentool`. Each verb is a module of its own, imported when it is called for."""

from __future__ import annotations

import os
from importlib import import_module

import click

from gentoolkit.errors import suggest
from gentoolkit.verbs import VERBS


class Verbs(click.Group):
    """The verbs of gentoolkit, and those that plugins add; nothing is imported before it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return our verbs in the order of use, then those that plugins add."""
        return [*VERBS, *added_verbs()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a verb's command; a name that is not ours is looked for in the plugins."""
        if cmd_name in VERBS:
            command: click.Command = import_module(f"gentoolkit.cli.{cmd_name}").command
            return command
        return added_verbs().get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb that is called; where there is none, the error names the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            if near := suggest(args[0], self.list_commands(ctx)):
                ctx.fail(f"No such verb {args[0]!r}; {near}")
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs' one-line helps: ours from the table, without importing them, then those of plugins."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))
        added = {name: command for name, command in added_verbs(skip_slow=True).items() if not command.hidden}
        if added:
            with formatter.section("Verbs of plugins"):
                formatter.write_dl([(name, command.get_short_help_str(limit=75)) for name, command in added.items()])


def added_verbs(skip_slow: bool = False) -> dict[str, click.Command]:
    """Return the verbs that plugins add, sorted by name.

    The plugins that we ship add none, so where there are no others it takes no import of plugins to say so.

    Args:
        skip_slow: Leave out the plugins that take long to import, so that `--help` does not wait for them.
    """
    from gentoolkit.distributions import has_foreign_plugins

    if not has_foreign_plugins():
        return {}
    from gentoolkit.plugins import load_plugins

    commands = {command.name or "": command for command in load_plugins(skip_slow=skip_slow).commands()}
    return dict(sorted(commands.items()))


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
    from gentoolkit.cli.failures import exit_code_of, keep_streams

    # How often a thread looks for the others before it sleeps, of GNU OpenMP's own 300,000: where other programs keep
    # the cores busy, a step of a small network otherwise takes up to 20 times as long.
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")
    keep_streams()
    raise SystemExit(exit_code_of(cli))
