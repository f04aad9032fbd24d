"""Contracts for the commands that packages add to `gentool`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import click
from click.testing import CliRunner

from gentoolkit.testing.contracts import contract, fail, require
from gentoolkit.testing.measures import in_fresh_interpreter
from gentoolkit.testing.running import described
from gentoolkit.verbs import Verb

IMPORTS_TORCH = "import importlib, sys; importlib.import_module(sys.argv[1]); print('torch' in sys.modules)"


@dataclass(frozen=True)
class CommandCase:
    """A command to check."""

    verb: Verb

    kind = "command"
    traits: frozenset[str] = frozenset()
    can_be_built = True

    @property
    def expected_failures(self) -> Mapping[str, str]:
        """Always empty: only components can declare expected failures."""
        return {}

    @property
    def name(self) -> str:
        """The distribution and the command, e.g. "my-parts/count"."""
        return f"{self.verb.distribution}/{self.verb.name}"


@contract("command.help")
def help_works(case: CommandCase) -> None:
    """The command can be imported, and `--help` works for it and for all its subcommands.

    Power: any command whose help raises, exits with a code other than 0 or prints nothing.
    """
    for path, found in _with_subcommands(case.verb.load(), case.verb.name):
        result = CliRunner().invoke(found, ["--help"], prog_name=f"gentool {path}")
        if result.exception is not None:
            fail(f"gentool {path} --help fails: {described(result.exception)}")
        require(result.output.startswith("Usage:"), f"gentool {path} --help prints {result.output[:80]!r}")


def _with_subcommands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            if (found := command.get_command(context, name)) is not None:
                yield from _with_subcommands(found, f"{path} {name}")


@contract("command.no_torch")
def no_torch(case: CommandCase) -> None:
    """Importing the command does not import torch, so that its help and its errors appear at once.

    Power: any import of torch at the top of a module that the command's module imports.
    """
    module = case.verb.command.partition(":")[0].strip()
    answer = in_fresh_interpreter(IMPORTS_TORCH, module)
    require(answer == "False", f"importing {module} imports torch; import it inside the functions that use it")
