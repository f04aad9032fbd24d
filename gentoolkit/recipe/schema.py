"""The JSON Schema (2020-12) of recipes, with all installed components, for completion and checks in an editor."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema

from gentoolkit.recipe.model import PARTS, Header
from gentoolkit.registry import Entry, Registry
from gentoolkit.settings import EvaluateSettings, SampleSettings, Strict, TrainSettings

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def recipe_schema(registry: Registry) -> Schema:
    """Return the schema. It covers the sections and their fields, but not whether the parts fit together."""
    settings: dict[str, type[Strict]] = {"train": TrainSettings, "sample": SampleSettings, "evaluate": EvaluateSettings}
    header = Header.model_json_schema()
    sections = {kind: _section(registry, kind) for kind in PARTS}
    metrics = {
        "type": "array",
        "items": _section(registry, "metric"),
        "description": "The metrics that compare generated with real samples.",
    }
    return {
        "$schema": DIALECT,
        "title": "gentoolkit recipe",
        "description": header["description"],
        "type": "object",
        "properties": {
            **header["properties"],
            **sections,
            "metrics": metrics,
            **{name: {"$ref": f"#/$defs/{name}"} for name in settings},
        },
        "required": [*header["required"], *PARTS, "train"],
        "additionalProperties": False,
        "$defs": {
            **{name: _model(model, name) for name, model in settings.items()},
            **{_key(entry): _component(entry) for entry in registry.entries()},
        },
    }


def _section(registry: Registry, kind: str) -> Schema:
    """Return the schema of a section: `type` is an installed component and determines the other fields."""
    entries = registry.entries(kind)
    schema: Schema = {
        "type": "object",
        "description": f"The {kind}: its type and the fields of that type.",
        "properties": {"type": {"enum": [entry.name for entry in entries], "description": f"Which {kind}."}},
        "required": ["type"],
    }
    if entries:  # allOf must not be empty
        schema["allOf"] = [
            {
                "if": {"properties": {"type": {"const": entry.name}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{_escaped(_key(entry))}"},
            }
            for entry in entries
        ]
    return schema


def _component(entry: Entry) -> Schema:
    try:
        schema = _model(entry.config, _key(entry))
    except PydanticInvalidForJsonSchema:  # a field that JSON Schema cannot describe: accept anything
        return {"type": "object"}
    named = {"const": entry.name, "description": f"From {entry.distribution} {entry.version}."}
    schema["properties"] = {"type": named, **schema.get("properties", {})}
    schema["required"] = ["type", *schema.get("required", [])]
    return schema


def _model(model: type[BaseModel], key: str) -> Schema:
    """Return a model's schema for `#/$defs/key`, including the definitions that it refers to."""
    return model.model_json_schema(ref_template=f"#/$defs/{_escaped(key)}/$defs/{{model}}")


def _key(entry: Entry) -> str:
    return f"{entry.kind}:{entry.name}"


def _escaped(key: str) -> str:
    """Escape a key for a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
