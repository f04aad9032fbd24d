"""Which part of a recipe an exception comes from: one place for all of a run."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from gentoolkit.errors import GentoolError, OutOfSpaceError, PluginError, is_out_of_space, last_line, place_in
from gentoolkit.recipe import Part, Recipe
from gentoolkit.registry import Entry

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


class HasRecipe(Protocol):
    """What is built from a recipe."""

    @property
    def recipe(self) -> Recipe: ...  # noqa: D102


Built = TypeVar("Built", bound=HasRecipe)


@contextmanager
def blame(recipe: Recipe, stage: str | Callable[[], str], part: Part | None = None) -> Iterator[None]:
    """Turn what a part raises, SystemExit included, into an error that names the part, its package and the stage.

    The part is the one whose code stands innermost in the traceback. An exception from elsewhere, an interruption, and
    an error that a part raises for the user (a `GentoolError` such as `UsageError`) pass unchanged.

    Args:
        recipe: Names the parts.
        stage: What the run was doing, such as "sampling"; a function is called when something was raised.
        part: The part that is called here, at fault where the traceback shows no other.

    Raises:
        PluginError: A part raised an exception, which is chained.
        OutOfSpaceError: It was that of a full memory or disk.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except GentoolError as error:
        entry = part.entry if part and error.kind == part.entry.kind else _of_kind(recipe, error.kind)
        if entry is None:
            raise
        cure = f"; see: gentool check {entry.distribution}" if isinstance(error, PluginError) else ""
        raise type(error)(f"{entry.title}, {_told(stage)}: {error}{cure}") from error
    except BaseException as error:
        entry = culprit(recipe, error) or (part.entry if part else None)
        if entry is None:
            raise
        kind = OutOfSpaceError if is_out_of_space(error) else PluginError
        message = f"{entry.title}, {_told(stage)}: {last_line(error)}{place_in(entry.package, error)}"
        raise kind(message) from error


def blamed(
    stage: str,
) -> Callable[[Callable[Concatenate[Built, Arguments], Returned]], Callable[Concatenate[Built, Arguments], Returned]]:
    """Run a method of what has a recipe, such as `Model`, within `blame(recipe, stage)`."""

    def decorate(
        method: Callable[Concatenate[Built, Arguments], Returned],
    ) -> Callable[Concatenate[Built, Arguments], Returned]:
        @wraps(method)
        def guarded(self: Built, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
            with blame(self.recipe, stage):
                return method(self, *args, **kwargs)

        return guarded

    return decorate


def _told(stage: str | Callable[[], str]) -> str:
    return stage if isinstance(stage, str) else stage()


def _of_kind(recipe: Recipe, kind: str | None) -> Entry | None:
    return next((entry for entry in _entries(recipe) if entry.kind == kind), None)


def _entries(recipe: Recipe) -> list[Entry]:
    parts = (recipe.dataset, recipe.backbone, recipe.objective, recipe.sampler, *recipe.metrics)
    return [part.entry for part in parts]


def culprit(recipe: Recipe, error: BaseException) -> Entry | None:
    """Return the component whose code stands innermost in the error's traceback, or None where there is none."""
    entries = _entries(recipe)
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        if frame.f_code is Entry.build.__code__:
            return frame.f_locals["self"]
        if entry := next((entry for entry in entries if _owns(entry, frame, entries)), None):
            return entry
    return None


def _owns(entry: Entry, frame: FrameType, entries: list[Entry]) -> bool:
    """Return whether a frame is a method of what the component built, or code of its package that no other shares."""
    if type(frame.f_locals.get("self")) in entry.built:
        return True
    module = frame.f_globals.get("__name__", "")
    if module.partition(".")[0] != entry.package:
        return False
    home, _, attribute = entry.component.factory.partition(":")
    own_code = module == home and frame.f_code.co_qualname.partition(".")[0] == attribute.partition(".")[0]
    return own_code or all(other is entry or other.package != entry.package for other in entries)
