"""Find the component that raised an exception, and name it in the error message."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from gentoolkit.configs import Config
from gentoolkit.errors import GentoolError, OutOfSpaceError, PluginError, is_out_of_space, last_line, place_in
from gentoolkit.recipe import Recipe
from gentoolkit.registry import Entry, entry_of


@contextmanager
def blame(recipe: Recipe, stage: str | Callable[[], str], part: Config | None = None) -> Iterator[None]:
    """Convert exceptions raised by a component into errors that name the component, its package and the stage.

    The component at fault is the one whose code is innermost in the traceback. SystemExit is converted too. A
    `GentoolError` without a `kind`, a KeyboardInterrupt, and exceptions from elsewhere are not changed.

    Args:
        recipe: The recipe with the components.
        stage: What the run is doing, such as "sampling". A function is only called if an exception is raised.
        part: The component that is called here. It is at fault if the traceback shows no other component.

    Raises:
        PluginError: A component raised an exception, which is chained.
        OutOfSpaceError: The exception means that the memory or disk is full.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except GentoolError as error:
        own = entry_of(part) if part else None
        entry = own if own and error.kind == own.kind else _of_kind(recipe, error.kind)
        if entry is None:
            raise
        cure = f"; to find out more, run: gentool check {entry.distribution}" if isinstance(error, PluginError) else ""
        raise type(error)(f"{entry.title}, {_text_of(stage)}: {error}{cure}") from error
    except BaseException as error:
        entry = culprit(recipe, error) or (entry_of(part) if part else None)
        if entry is None:
            raise
        kind = OutOfSpaceError if is_out_of_space(error) else PluginError
        message = f"{entry.title}, {_text_of(stage)}: {last_line(error)}{place_in(entry.package, error)}"
        raise kind(message) from error


def _text_of(stage: str | Callable[[], str]) -> str:
    return stage if isinstance(stage, str) else stage()


def _of_kind(recipe: Recipe, kind: str | None) -> Entry | None:
    return next((entry for entry in _entries(recipe) if entry.kind == kind), None)


def _entries(recipe: Recipe) -> list[Entry]:
    return [entry_of(config) for _, config in recipe.components()]


def culprit(recipe: Recipe, error: BaseException) -> Entry | None:
    """Return the component whose code is innermost in the error's traceback, or None if there is none."""
    entries = _entries(recipe)
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        if frame.f_code is Entry.build.__code__:
            return frame.f_locals["self"]
        if entry := next((entry for entry in entries if _owns(entry, frame, entries)), None):
            return entry
    return None


def _owns(entry: Entry, frame: FrameType, entries: list[Entry]) -> bool:
    """Return whether a frame is code of the component: a method of its object, or of a package that only it uses."""
    if type(frame.f_locals.get("self")) in entry.built:
        return True
    module = frame.f_globals.get("__name__", "")
    if module.partition(".")[0] != entry.package:
        return False
    home, _, attribute = entry.component.factory.partition(":")
    own_code = module == home and frame.f_code.co_qualname.partition(".")[0] == attribute.partition(".")[0]
    return own_code or all(other is entry or other.package != entry.package for other in entries)
