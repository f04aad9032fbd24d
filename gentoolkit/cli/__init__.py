"""The command line, `gentool`. Each verb has its own module, which is imported only when the verb is used."""

from __future__ import annotations

import os
from importlib import import_module

import click

from gentoolkit.errors import suggest
from gentoolkit.verbs import VERBS, added_verbs


class Verbs(click.Group):
    """The verbs of gentoolkit and of plugins, each imported only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the built-in verbs in the order of typical use, then those that plugins add."""
        return [*VERBS, *added_verbs()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a built-in verb or of a verb that a plugin adds."""
        if cmd_name in VERBS:
            command: click.Command = import_module(f"gentoolkit.cli.{cmd_name}").command
            return command
        verb = added_verbs().get(cmd_name)
        return verb.load() if verb else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the called verb. If it does not exist, fail with a suggestion."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            if near := suggest(args[0], self.list_commands(ctx)):
                ctx.fail(f"No such command {args[0]!r}; {near}")
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the one-line help of the built-in verbs, then the package of each added verb. Imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))
        if added := added_verbs():
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, f"From {verb.distribution}.") for name, verb in added.items()])


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="gentoolkit", prog_name="gentool")
def cli() -> None:
    """Train, sample and evaluate generative models built from exchangeable parts.

    \b
    Example:
      gentool run recipes/smoke.yaml train.steps=20
    """


def main() -> None:
    """Run `gentool` and exit with its exit code; see `gentoolkit.errors`."""
    from gentoolkit.cli.failures import exit_code_of, keep_streams

    # How many times a waiting thread spins before it sleeps (GNU OpenMP's default is 300,000). With the default, a step
    # of a small network can take several times as long when other programs keep the cores busy.
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")
    keep_streams()
    raise SystemExit(exit_code_of(cli))
