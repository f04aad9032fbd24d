"""Building a run's observers and calling them, so that none of them can change or end the run."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from gentoolkit.errors import last_line, place_in
from gentoolkit.observers import Observer
from gentoolkit.recipe import Recipe
from gentoolkit.registry import Entry, build, entry_of


class Observers:
    """The observers of a run.

    Whatever one of them raises is reported as a RuntimeWarning, once per observer and event, and what it prints goes to
    stderr. Only a KeyboardInterrupt is propagated.
    """

    def __init__(self, recipe: Recipe, directory: Path) -> None:
        self._reported: set[tuple[int, str]] = set()
        self._built: list[tuple[Entry, Observer]] = []
        for number, config in enumerate(recipe.observers):
            entry = entry_of(config)
            with self._harmless(number, entry, "its factory; the run continues without it"):
                self._built.append((entry, build(config, directory=directory)))

    def notify(self, event: str, *arguments: Any) -> None:
        """Call the method `event` of every observer with copies of the arguments."""
        getattr(Observer, event)  # an unknown event is a bug here, not of an observer
        for number, (entry, observer) in enumerate(self._built):
            with self._harmless(number, entry, event):
                getattr(observer, event)(*copy.deepcopy(arguments))

    @contextmanager
    def _harmless(self, number: int, entry: Entry, event: str) -> Iterator[None]:
        try:
            with redirect_stdout(sys.stderr):  # stdout is for results
                yield
        except KeyboardInterrupt:
            raise
        except BaseException as fault:  # including SystemExit
            if (number, event) not in self._reported:
                self._reported.add((number, event))
                message = f"{entry.title} raised in {event}: {last_line(fault)}{place_in(entry.package, fault)}"
                warnings.warn(message, RuntimeWarning, stacklevel=4)
