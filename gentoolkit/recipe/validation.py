"""Validate nodes of a recipe with pydantic models. Pydantic's errors are reworded and get positions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from gentoolkit.errors import suggest
from gentoolkit.recipe.faults import Fault, Path, Place, one_of, shown
from gentoolkit.recipe.reader import Node, scalar

Model = TypeVar("Model", bound=BaseModel)

#: Rewordings of what follows "Input should " in pydantic's messages.
_PLAIN_WORDS = {
    "be a valid integer": "a whole number",
    "be a valid number": "a number",
    "be a finite number": "a finite number",
    "be a valid string": "text",
    "be a valid boolean": "true or false",
    "be a valid array": "a list",
    "be an object": "a mapping",
    "be None": "null",
}


def validated(model: type[Model], node: Node, path: Path, faults: list[Fault]) -> Model | None:
    """Return the model with the node's values, or None after adding the errors to `faults`.

    The values are validated as JSON. This lets a recipe set any field that can be written as JSON (paths, enumerations,
    dates), and turns sequences into tuples where the field is a tuple.
    """
    try:
        return model.model_validate_json(json.dumps(node.plain()))
    except ValidationError as error:
        faults.extend(_translate(details, model, node, path) for details in error.errors(include_url=False))
    except Exception as error:  # a plugin's validator may raise anything
        faults.append(Fault(node.place, path, f"{model.__name__} raised {type(error).__name__}: {error}"))
    return None


def _translate(details: Any, model: type[BaseModel], node: Node, path: Path) -> Fault:
    location, kind = details["loc"], details["type"]
    last, inner = (str(location[-1]) if location else ""), location[:-1]
    if kind == "missing":
        node, path = follow(node, path, inner)
        return Fault(node.place, (*path, last), "missing", "a value, since there is no default")
    if kind == "extra_forbidden":
        node, path = follow(node, path, inner)
        fields = _fields(model, inner)
        return unknown_field(node.keys.get(last, node.place), (*path, last), fields)
    node, path = follow(node, path, location)
    message = details["msg"]
    if kind in ("value_error", "assertion_error"):
        message = str(details["ctx"]["error"])
        return Fault(node.place, path, " ".join(message.split()))
    got = f"got {shown(node.value)}"
    _, should, expected = message.partition(" should ")
    if not should:
        return Fault(node.place, path, got, hint=message)
    hint = _choice(node.value, details) or _number_in_quotes(node.value, expected)
    return Fault(node.place, path, got, _in_plain_words(expected), hint)


def unknown_field(place: Place, path: Path, fields: Sequence[str]) -> Fault:
    """Return the fault of an unknown key."""
    return Fault(place, path, "unknown field", one_of(fields), suggest(path[-1], fields))


def follow(node: Node, path: Path, location: Sequence[object]) -> tuple[Node, Path]:
    """Return the node at a location below `node`, or its nearest ancestor that exists, with its path.

    Pydantic's locations also contain the names of union branches, which are not keys and are skipped.
    """
    for key in map(str, location):
        if child := node.child(key):
            node, path = child, (*path, key)
    return node, path


def _fields(model: type[BaseModel], location: Sequence[object]) -> list[str]:
    """Return the fields of the model at a location inside `model`, or [] if several models are possible there."""
    for key in location:
        if isinstance(key, str) and key in model.model_fields:
            inner = list(_models(model.model_fields[key].annotation))
            if len(inner) != 1:
                return []
            model = inner[0]
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _in_plain_words(expected: str) -> str:
    """Return pydantic's text after "should", e.g. "have at most 2 items after validation, not 3", as a noun phrase."""
    if expected.startswith(("be greater", "be less")):
        return f"a number {expected[3:]}"
    if pattern := expected.partition("match pattern ")[2]:
        return f"text of the pattern {pattern}"
    short = expected.partition(" after validation")[0].removeprefix("have ").removeprefix("be ")
    return _PLAIN_WORDS.get(expected, short)


def _choice(value: object, details: Any) -> str:
    """Suggest the most similar of a field's choices, which pydantic writes as "'a', 'b' or 'c'"."""
    choices = details.get("ctx", {}).get("expected", "")
    return suggest(value, choices.split("'")[1::2]) if isinstance(value, str) else ""


def _number_in_quotes(value: object, expected: str) -> str:
    if not isinstance(value, str) or expected not in ("be a valid integer", "be a valid number"):
        return ""
    try:
        return "" if isinstance(scalar(value), str) else "remove the quotes"
    except ValueError:
        return ""
