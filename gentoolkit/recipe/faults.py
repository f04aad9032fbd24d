"""Errors in a recipe and their positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gentoolkit.errors import RecipeError, joined

Scalar = None | bool | int | float | str
Path = tuple[str, ...]

#: Number of characters of a value that a message shows.
SHOWN = 60


@dataclass(frozen=True, order=True)
class Place:
    """A position in the recipe file, or an override. Sorts in reading order, the file before the overrides.

    Attributes:
        override: 0 for the file, otherwise the number of the override, counted from 1.
        line: Counted from 1; 0 for an override.
        column: Counted from 1; 0 for an override.
        source: The file's name, or "override 'a.b=1'".
    """

    override: int
    line: int
    column: int
    source: str

    def __str__(self) -> str:
        return self.source if self.override else f"{self.source}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Fault:
    """One error in a recipe, shown as `place: path: wrong; expected ...; hint`."""

    place: Place
    path: Path
    wrong: str
    expected: str = ""
    hint: str = ""

    def __str__(self) -> str:
        path = f"{dotted(self.path)}: " if self.path else ""
        expected = f"expected {self.expected}" if self.expected else ""
        return f"{self.place}: {path}{joined(self.wrong, expected, self.hint)}"


def recipe_error(unreadable: Sequence[Fault], invalid: Sequence[Fault]) -> RecipeError:
    """Return one exception with all faults, one line each, sorted by position.

    Args:
        unreadable: The faults found by the reader. Validation faults that follow from them, at the same value or in the
            section around it, are dropped.
        invalid: The faults found by validation. If a value matches none of several types, the faults are merged into
            one that lists all types, or dropped in favor of more specific faults inside the value.
    """
    known = {(fault.place, fault.path) for fault in unreadable}
    around = {fault.path[:length] for fault in (*unreadable, *invalid) for length in range(1, len(fault.path))}
    follows = [fault for fault in invalid if (fault.place, fault.path) in known or fault.path in around]
    faults = [*unreadable, *(fault for fault in invalid if fault not in follows)]
    same: dict[tuple[Place, Path, str], list[Fault]] = {}
    for fault in sorted(faults, key=lambda fault: fault.place):
        same.setdefault((fault.place, fault.path, fault.wrong), []).append(fault)
    return RecipeError(str(_merged(group)) for group in same.values())


def _merged(group: Sequence[Fault]) -> Fault:
    expected = " or ".join(dict.fromkeys(fault.expected for fault in group if fault.expected))
    return replace(group[0], expected=expected, hint=next((fault.hint for fault in group if fault.hint), ""))


def dotted(path: Sequence[str]) -> str:
    """Return `train.epochs` for ("train", "epochs"). Keys with unprintable characters are escaped."""
    return ".".join(key if key.isprintable() and key else repr(key) for key in path)


def shown(value: object) -> str:
    """Return a value for a message, in YAML's terms."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, tuple):
        return "a list"
    text = repr(value)
    text = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return f"the text {text}" if isinstance(value, str) else text
