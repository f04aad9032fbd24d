import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from fake_parts import REGISTRY, parsed, text_of
from pydantic import ConfigDict

from building import own_data
from gentoolkit.api import Component, SamplerConfig
from gentoolkit.plugins import load_plugins
from gentoolkit.recipe import load_recipe, recipe_schema
from gentoolkit.registry import Entry, Registry

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
SCHEMA = recipe_schema(REGISTRY)


def faults(data, schema=SCHEMA):
    validator = jsonschema.Draft202012Validator(schema)
    return [error.json_path for error in validator.iter_errors(json.loads(json.dumps(data)))]


def recipe(**changes):
    return {**yaml.safe_load(text_of()), **changes}


@pytest.mark.parametrize("registry", [lambda: REGISTRY, Registry, lambda: load_plugins().registry])
def test_the_schema_is_valid_json_schema(registry):
    schema = recipe_schema(registry())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_reference_leads_somewhere():
    validator = jsonschema.Draft202012Validator(SCHEMA)
    references = [part["$ref"] for part in walk(SCHEMA) if isinstance(part, dict) and "$ref" in part]
    assert any("my-dist~1other" in reference for reference in references)
    assert any(reference.endswith("/$defs/Layer") for reference in references)
    for reference in references:
        assert validator._resolver.lookup(reference).contents


def walk(part):
    yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from walk(inner)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_the_shipped_recipes_satisfy_the_schema(path):
    plugins = load_plugins()
    schema = recipe_schema(plugins.registry)
    assert faults(load_recipe(path, own_data(path), plugins.registry).resolved(), schema) == []


def test_what_validates_satisfies_the_schema():
    for overrides in (
        [],
        ["sampler={type: my-dist/other, name: x}"],
        [
            "backbone.head={width: 1}",
            "backbone.kernel=[1, 2]",
            "backbone.shape=deep",
            "train.optimizer.betas=[0.5, 0.6]",
        ],
    ):
        assert faults(parsed(text_of(), *overrides).resolved()) == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"version": 1}, "$.version"),
        ({"name": "My Run"}, "$.name"),
        ({"seed": -1}, "$.seed"),
        ({"device": "gpu"}, "$.device"),
        ({"sampler": {"type": "eular"}}, "$.sampler.type"),
        ({"sampler": {"type": "net"}}, "$.sampler.type"),
        ({"sampler": {"num_steps": 3}}, "$.sampler"),
        ({"sampler": "step"}, "$.sampler"),
        ({"sampler": {"type": "steps", "num_steps": 0}}, "$.sampler.num_steps"),
        ({"sampler": {"type": "steps", "name": "x"}}, "$.sampler"),
        ({"sampler": {"type": "my-dist/other", "name": 1}}, "$.sampler.name"),
        ({"backbone": {"type": "net"}}, "$.backbone"),
        ({"backbone": {"type": "net", "depth": 1, "head": {"width": "x"}}}, "$.backbone.head"),
        ({"metrics": [{"type": "distance"}, {"type": "steps"}]}, "$.metrics[1].type"),
        ({"train": {"epochs": 5, "optimizer": "sgd"}}, "$.train.optimizer"),
        ({"smaple": {}}, "$"),
    ],
)
def test_a_broken_recipe_does_not_satisfy_the_schema(changes, place):
    assert place in faults(recipe(**changes))
    assert faults(recipe()) == []


@pytest.mark.parametrize("section", ["version", "name", "dataset", "backbone", "objective", "sampler", "train"])
def test_the_schema_misses_what_has_no_default(section):
    data = recipe()
    del data[section]
    assert faults(data) == ["$"]


def test_fields_are_described():
    assert SCHEMA["$defs"]["backbone:net"]["description"] == "A network."
    assert SCHEMA["$defs"]["backbone:net"]["properties"]["depth"]["description"] == "How many blocks."
    described = SCHEMA["properties"].values()
    settings = [
        SCHEMA["$defs"][name]["properties"].values() for name in ("TrainSettings", "SampleSettings", "EvaluateSettings")
    ]
    assert all(part.get("description") or part.get("$ref") for part in described)
    assert all(part["description"] for parts in settings for part in parts)


class OddConfig(SamplerConfig):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    function: type(print) = print


def test_a_config_that_json_schema_cannot_describe_does_no_harm():
    component = Component("odd", OddConfig, "nowhere:Odd")
    registry = Registry()
    registry.add(*REGISTRY.entries(), Entry("odd-dist/odd", component, "odd-dist", "1.0"))
    schema = recipe_schema(registry)
    assert faults(recipe(sampler={"type": "odd-dist/odd", "anything": 1}), schema) == []
    assert faults(recipe(sampler={"type": "steps", "anything": 1}), schema) == ["$.sampler"]
