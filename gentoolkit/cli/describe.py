"""`gentool describe`."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import click

from gentoolkit.cli.options import json_option, write_result

if TYPE_CHECKING:
    from gentoolkit.registry import Entry, Registry


@click.command("describe")
@click.argument("component")
@json_option
def command(component: str, as_json: bool) -> None:
    """Print the fields of COMPONENT: their types, defaults and meaning.

    Name it as in a recipe, with its kind in front if several kinds have a component of that name.

    \b
    Example:
      gentool describe path/cosine
    """
    from gentoolkit.plugins import load_plugins

    entries = found(load_plugins().registry, component)
    write_result([as_data(entry) for entry in entries], as_json, lambda: click.echo("\n\n".join(map(text, entries))))


def found(registry: Registry, name: str) -> list[Entry]:
    """Return the components of a name, "dit" or "path/cosine".

    Raises:
        UsageError: There is none. The message suggests similar names.
    """
    from gentoolkit.errors import UsageError, joined, suggest
    from gentoolkit.kinds import KINDS

    kind, _, rest = name.partition("/")
    if kind in KINDS and rest:
        return [registry.get(kind, rest)]
    entries = [entry for entry in registry.entries() if entry.name == name]
    if not entries:
        names = {f"{entry.kind}/{entry.name}" for entry in registry.entries()} | {e.name for e in registry.entries()}
        raise UsageError(joined(f"no component {name!r} is installed", suggest(name, names), "see: gentool plugins"))
    return entries


def as_data(entry: Entry) -> dict[str, Any]:
    """Return what is known of a component as plain JSON data."""
    from pydantic_core import to_jsonable_python

    schemas = entry.config.model_json_schema().get("properties", {})
    return {
        "kind": entry.kind,
        "type": entry.name,
        "package": entry.distribution,
        "version": entry.version,
        "description": inspect.getdoc(entry.config) or "",
        "fields": [
            {
                "name": name,
                "type": type_of(schemas[name]),
                "required": field.is_required(),
                **({} if field.is_required() else {"default": to_jsonable_python(field.default, fallback=str)}),
                "description": " ".join((field.description or "").split()),
            }
            for name, field in entry.config.model_fields.items()
        ],
    }


def type_of(schema: Any) -> str:
    """Return the type that a JSON schema describes, with its bounds, such as "integer >= 1"."""
    from gentoolkit.configs import SLOT

    if SLOT in schema:
        return f"{schema[SLOT]} (slot)"
    if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return " or ".join(map(repr, choices))
    if "anyOf" in schema:
        return " or ".join(map(type_of, schema["anyOf"]))
    if schema.get("type") == "array":
        items = schema.get("items", {}) or (schema.get("prefixItems") or [{}])[0]
        return f"list of {type_of(items)}"
    bounds = [f" {sign} {schema[key]:g}" for key, sign in BOUNDS.items() if key in schema]
    return str(schema.get("type", "mapping")) + ",".join(bounds)


BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def text(entry: Entry) -> str:
    """Return the description as text."""
    data = as_data(entry)
    lines = [f"{entry.kind} {entry.name} ({entry.distribution} {entry.version})", "", data["description"], ""]
    for field in data["fields"]:
        value = "required" if field["required"] else f"default {json.dumps(field['default'])}"
        lines.append(f"{field['name']}: {field['type']}, {value}")
        if field["description"]:
            lines.append(click.wrap_text(field["description"], 100, "    ", "    "))
    return "\n".join(lines if data["fields"] else [*lines, "It has no fields."])
