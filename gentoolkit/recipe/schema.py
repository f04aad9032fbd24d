"""The JSON Schema (2020-12) of recipes, with all installed components, for completion and checks in an editor."""

from __future__ import annotations

from typing import Any

from pydantic.errors import PydanticInvalidForJsonSchema

from gentoolkit.configs import SLOT
from gentoolkit.kinds import KINDS
from gentoolkit.recipe.model import Recipe
from gentoolkit.registry import Entry, Registry

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def recipe_schema(registry: Registry) -> Schema:
    """Return the schema. It covers the sections and their fields, but not whether the parts fit together."""
    recipe = _with_references(Recipe.model_json_schema())
    return {
        "$schema": DIALECT,
        **recipe,
        "title": "gentoolkit recipe",
        "$defs": {
            **recipe["$defs"],
            **{kind: _slot(registry, kind) for kind in KINDS},
            **{_key(entry): _component(entry) for entry in registry.entries()},
        },
    }


def _with_references(schema: Any) -> Any:
    """Return a schema in which slots refer to the definition of their kind."""
    if isinstance(schema, list):
        return [_with_references(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    done = {key: _with_references(value) for key, value in schema.items() if key != SLOT}
    if SLOT not in schema:
        return done
    kind, default = schema[SLOT], schema.get("default")
    named = {"$ref": f"#/$defs/{kind}"}
    if not isinstance(default, str):
        return done | named
    fields = {"$ref": f"#/$defs/{_escaped(f'{kind}:{default}')}"}  # without a type, those of the default
    return done | {"if": {"type": "object", "not": {"required": ["type"]}}, "then": fields, "else": named}


def _slot(registry: Registry, kind: str) -> Schema:
    """Return the schema of a slot: the name of a component without required fields, or its `type` and fields."""
    entries = registry.entries(kind)
    names = [entry.name for entry in entries]
    short = [entry.name for entry in entries if not any(f.is_required() for f in entry.config.model_fields.values())]
    mapping: Schema = {
        "type": "object",
        "properties": {"type": {"enum": names, "description": f"Which {kind}."}},
        "required": ["type"],
    }
    if entries:  # allOf must not be empty
        mapping["allOf"] = [
            {
                "if": {"properties": {"type": {"const": entry.name}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{_escaped(_key(entry))}"},
            }
            for entry in entries
        ]
    return {
        "description": f"A {kind}: its type and the fields of that type, or only its type.",
        "if": {"type": "string"},
        "then": {"enum": short},
        "else": mapping,
    }


def _component(entry: Entry) -> Schema:
    try:
        schema = entry.config.model_json_schema(ref_template=f"#/$defs/{_escaped(_key(entry))}/$defs/{{model}}")
    except PydanticInvalidForJsonSchema:  # a field that JSON Schema cannot describe: accept anything
        return {"type": "object"}
    schema = _with_references(schema)
    named = {"const": entry.name, "description": f"From {entry.distribution} {entry.version}."}
    return schema | {"properties": {"type": named, **schema.get("properties", {})}}


def _key(entry: Entry) -> str:
    return f"{entry.kind}:{entry.name}"


def _escaped(key: str) -> str:
    """Escape a key for a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
