"""The verbs of `gentool`: its own, and those that installed packages declare, found without importing them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, NamedTuple

from gentoolkit.distributions import entry_points
from gentoolkit.errors import PluginError, last_line, place_in

if TYPE_CHECKING:
    import click

#: Prefix of the entry-point groups of all versions, and the group of this version.
GROUPS = "gentoolkit.commands"
GROUP = f"{GROUPS}.v2"

#: Verb -> its one-line help, in the order of typical use.
VERBS = {
    "run": "Train, sample, evaluate and report what a recipe describes.",
    "resume": "Continue a run from its newest valid checkpoint.",
    "sample": "Draw samples from a run or a checkpoint.",
    "eval": "Evaluate a run or a checkpoint on held-out data.",
    "report": "Redraw a run's pictures and rebuild its report page.",
    "validate": "Check a recipe without training.",
    "data": "Summarize a recipe's dataset, before training.",
    "plugins": "List the installed plugins and their components.",
    "describe": "Print the fields of a component and what they mean.",
    "check": "Test a package's components against their contracts.",
    "schema": "Print the JSON schema of recipes, for editor completion.",
    "ls": "List runs.",
}


class Verb(NamedTuple):
    """A verb that an installed package declares.

    Attributes:
        name: What follows `gentool` on the command line.
        command: Its click.Command, "module:attribute".
        distribution: The installed package, PEP 503-normalized.
        version: Version of that package.
        fault: Why `gentool` does not have the verb, or "".
    """

    name: str
    command: str
    distribution: str
    version: str
    fault: str = ""

    def load(self) -> click.Command:
        """Import the command. A slow import is reported on stderr; see `gentoolkit.waiting`.

        Raises:
            PluginError: It can't be imported, or is not a click.Command.
        """
        from pkgutil import resolve_name

        import click

        from gentoolkit.waiting import watched_import

        title = f"the command {self.name!r} of {self.distribution} {self.version}"
        try:
            # stdout is for a command's results, not for what an import prints
            with redirect_stdout(sys.stderr), watched_import(title):
                found = resolve_name(self.command)
        except KeyboardInterrupt:
            raise
        except BaseException as fault:  # including SystemExit
            cause = last_line(fault) + place_in(re.split("[.:]", self.command)[0], fault)
            raise PluginError(f"{title} can't be imported from {self.command!r}: {cause}") from fault
        if not isinstance(found, click.Command):
            raise PluginError(f"{title}: {self.command!r} is a {type(found).__name__}; expected a click.Command")
        return found


def declared_verbs() -> Iterator[Verb]:
    """Yield the verbs that installed packages declare, also those with a fault, sorted by package and name."""
    owners = dict.fromkeys(VERBS, "gentoolkit")
    for point in sorted(entry_points(GROUPS)):
        fault = ""
        if point.group != GROUP:
            fault = f"it is declared in {point.group!r}, but this version of gentoolkit supports {GROUP!r}"
        elif not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", point.name):
            fault = "the name of a command must consist of a-z, 0-9, '_' and '-'"
        elif not re.fullmatch(r"[\w.]+\s*:\s*[\w.]+", point.value):
            fault = f"{point.value!r} is not 'module:command'"
        elif point.name in owners:
            fault = f"the command {point.name!r} already exists in {owners[point.name]}; rename it"
        else:
            owners[point.name] = point.distribution
        yield Verb(point.name, re.sub(r"\s", "", point.value), point.distribution, point.version, fault)


def added_verbs() -> dict[str, Verb]:
    """Return the verbs that installed packages add to `gentool`, sorted by name."""
    return {verb.name: verb for verb in sorted(declared_verbs()) if not verb.fault}
