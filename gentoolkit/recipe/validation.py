"""Validate nodes of a recipe with pydantic models. Pydantic's errors are reworded and get positions."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gentoolkit.configs import Config, completed, is_base, models_in
from gentoolkit.errors import last_line, listing, suggest
from gentoolkit.recipe.faults import Fault, Path, shown
from gentoolkit.recipe.reader import Node, scalar
from gentoolkit.registry import Registry

Sections = dict[str, Any]
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


def validated(
    model: type[Model], node: Node, registry: Registry, faults: list[Fault], folder: pathlib.Path
) -> tuple[Model | None, Sections]:
    """Return the model with the node's values, or None after adding the errors to `faults`; and its valid sections.

    The values are validated as JSON. This lets a recipe set any field that can be written as JSON (paths, enumerations,
    dates), and turns sequences into tuples where the field is a tuple.
    """
    context = _Context(registry, folder)
    try:
        return model.model_validate_json(json.dumps(completed(model, node.plain())), context=context), context.sections
    except ValidationError as error:
        translator = _Translator(model, node, registry)
        faults.extend(map(translator.fault, error.errors(include_url=False)))
    except Exception as error:  # a validator of a plugin's settings may raise anything
        faults.append(Fault(node.place, (), f"{last_line(error)}"))
    return None, context.sections


@dataclass(frozen=True)
class _Context:
    """Resolves slots, and collects the valid sections of a recipe."""

    registry: Registry
    folder: pathlib.Path
    sections: Sections = field(default_factory=dict)

    def resolve(self, kind: str, data: object) -> Config:
        return self.registry.resolve(kind, data)


@dataclass(frozen=True)
class _Translator:
    """Rewords pydantic's errors and adds their positions."""

    model: type[BaseModel]
    root: Node
    registry: Registry

    def fault(self, details: Any) -> Fault:
        location, kind = details["loc"], details["type"]
        last, inner = (str(location[-1]) if location else ""), location[:-1]
        if kind == "missing":
            node, path = follow(self.root, (), inner)
            return Fault(node.place, (*path, last), "missing", self.expected(location))
        if kind == "extra_forbidden":
            node, path = follow(self.root, (), inner)
            fields = self.fields(inner)
            hint = suggest(last, fields) if fields else "it has no fields"
            expected = f"one of {listing(fields)}" if fields else ""
            return Fault(node.keys.get(last, node.place), (*path, last), "unknown field", expected, hint)
        node, path = follow(self.root, (), location)
        if kind in OWN_ERRORS:
            return _own(kind, details["msg"], node, path)
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

    def expected(self, location: Sequence[object]) -> str:
        """Return what is expected where a field is missing."""
        owner = self.owner(location[:-1])
        field = owner.model_fields.get(str(location[-1])) if owner else None
        for inner in models_in(field.annotation if field else None):
            if is_base(inner):
                return self.registry.example(inner.kind)
            return "a mapping"
        return "a value, since there is no default"

    def fields(self, location: Sequence[object]) -> list[str]:
        """Return the fields of the model at a location, or [] if several models are possible there."""
        owner = self.owner(location)
        return list(owner.model_fields) if owner else []

    def owner(self, location: Sequence[object]) -> type[BaseModel] | None:
        """Return the model at a location, or None if several are possible. A slot has the model of its component."""
        model, node, default = self.model, self.root, None
        for key in map(str, location):
            inside = node.child(key)
            if key in model.model_fields:
                inner = list(models_in(model.model_fields[key].annotation))
                if len(inner) != 1:
                    return None
                model, default = inner[0], model.model_fields[key].default
            elif inside is None:
                continue  # the name of a branch of a union
            node = inside or Node(node.place, None)
            if is_base(model) and (name := _type_in(node.plain()) or _type_in(default)):
                model = self.registry.get(model.kind, name).config
        return model


def _type_in(data: object) -> str | None:
    """Return the type of a component given as recipe data, or None."""
    name = data.get("type") if isinstance(data, dict) else data
    return name if isinstance(name, str) else None


#: Types of the errors that `Registry.resolve` raises.
OWN_ERRORS = ("no_component", "no_type", "unknown_component", "raised", "too_deep")


def _own(kind: str, message: str, node: Node, path: Path) -> Fault:
    """Return the fault for an error that a slot raises."""
    if kind == "no_component":
        return Fault(node.place, path, f"got {shown(node.value)}", message)
    named = node.child("type") if isinstance(node.value, dict) else None
    if kind == "no_type":
        wrong = f"got {shown(named.value)}" if named else "missing"
        return Fault((named or node).place, (*path, "type"), wrong, message)
    if kind == "unknown_component" and named:
        return Fault(named.place, (*path, "type"), message)
    return Fault(node.place, path, message)


def as_written(root: Node, path: Path) -> Path:
    """Return a path without the indices of lists that the recipe has as a single component."""
    written: Path = ()
    for key in path:
        around, _ = follow(root, (), written)
        written += () if key.isdecimal() and not isinstance(around.value, tuple) else (key,)
    return written


def follow(node: Node, path: Path, location: Sequence[object]) -> tuple[Node, Path]:
    """Return the node at a location below `node`, or its nearest ancestor that exists, with its path.

    Pydantic's locations also contain the names of union branches, which are not keys and are skipped.
    """
    for key in map(str, location):
        if child := node.child(key):
            node, path = child, (*path, key)
    return node, path


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
