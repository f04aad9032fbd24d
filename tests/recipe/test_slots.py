"""Slots: components in the fields of other components, at any depth."""

import json
import pickle
from dataclasses import dataclass

import jsonschema
import pytest
import yaml
from fake_parts import REGISTRY, parsed, problems, text_of, type_of
from pydantic import Field, ValidationError

from gentoolkit.api import Component, ObjectiveConfig, PathConfig, Problem, TimesConfig, WeightingConfig, slot
from gentoolkit.configs import Config, configs_in, slots_of, to_data
from gentoolkit.errors import PluginError
from gentoolkit.kinds import KINDS, Kind
from gentoolkit.recipe import dump_recipe, parse_recipe, recipe_schema
from gentoolkit.registry import Entry, Registry, build, qualified
from gentoolkit.strict import Strict


class LineConfig(PathConfig):
    """A path without fields."""


class BendConfig(PathConfig):
    power: float = Field(default=2.0, gt=0)
    """How bent it is."""

    def check(self, spec):
        if self.power == 99:
            yield Problem("power", "too bent for the data")


class BlendConfig(PathConfig):
    """A path with slots of each form."""

    first: PathConfig = slot("line")
    rest: tuple[PathConfig, ...] = ()
    spare: PathConfig | None = None
    either: PathConfig | float = 0.5
    named: dict[str, PathConfig] = Field(default={})


class NeedyConfig(PathConfig):
    """A path with a field that has no default."""

    power: float


class LoopConfig(PathConfig):
    """A path whose default contains itself."""

    inner: PathConfig = slot("loop")


class ClockConfig(TimesConfig):
    path: PathConfig = slot({"type": "bend", "power": 3.0})
    share: float = Field(default=0.5, ge=0, le=1)


class HeavyConfig(WeightingConfig):
    times: TimesConfig = slot("clock")


class SlottedConfig(ObjectiveConfig):
    path: PathConfig = slot("line")
    weighting: WeightingConfig = slot("heavy")


class Made:
    """What any factory here makes: it keeps its arguments."""

    def __init__(self, config, **inner):
        self.config, self.inner = config, inner


COMPONENTS = {
    "line": LineConfig,
    "bend": BendConfig,
    "blend": BlendConfig,
    "needy": NeedyConfig,
    "loop": LoopConfig,
    "clock": ClockConfig,
    "heavy": HeavyConfig,
    "slotted": SlottedConfig,
}


def registry_of(components, distribution="gentoolkit"):
    made = Registry()
    made.add(*REGISTRY.entries())
    for name, config in components.items():
        component = Component(name, config, f"{__name__}:Made")
        made.add(Entry(qualified(distribution, name), component, distribution, "1.0"))
    return made


SLOTS = registry_of(COMPONENTS)


def recipe_with(objective, *overrides):
    return parse_recipe(text_of(objective=f"objective: {objective}"), "r.yaml", overrides, SLOTS)


def data_of(objective, *overrides):
    return recipe_with(objective, *overrides).resolved()["objective"]


HEAVY = {"type": "heavy", "times": {"type": "clock", "path": {"type": "bend", "power": 3.0}, "share": 0.5}}


def test_a_slot_takes_a_mapping_a_name_or_its_default():
    assert data_of("slotted") == {"type": "slotted", "path": {"type": "line"}, "weighting": HEAVY}
    assert data_of("{type: slotted, path: bend}")["path"] == {"type": "bend", "power": 2.0}
    assert data_of("{type: slotted, path: {type: bend, power: 4}}")["path"] == {"type": "bend", "power": 4.0}


def test_without_a_type_a_mapping_has_that_of_the_default():
    assert data_of("{type: slotted, weighting: {times: {share: 0.1}}}")["weighting"] == {
        **HEAVY, "times": {**HEAVY["times"], "share": 0.1},
    }  # fmt: skip
    assert data_of("{type: slotted, weighting: {times: {path: {power: 5}}}}")["weighting"]["times"]["path"] == {
        "type": "bend", "power": 5.0,
    }  # fmt: skip


def test_slots_may_be_in_tuples_optionals_unions_and_mappings():
    blend = "{type: blend, rest: [line, {type: bend}], spare: bend, either: bend, named: {a: line}}"
    found = data_of(f"{{type: slotted, path: {blend}}}")
    bend, line = {"type": "bend", "power": 2.0}, {"type": "line"}
    assert found["path"] == {
        "type": "blend", "first": line, "rest": [line, bend], "spare": bend, "either": bend, "named": {"a": line},
    }  # fmt: skip
    assert data_of("{type: slotted, path: {type: blend, either: 2.5}}")["path"]["either"] == 2.5


@pytest.mark.parametrize(
    ("overrides", "path"),
    [
        (["objective.path=bend"], {"type": "bend", "power": 2.0}),
        (["objective.path.type=bend"], {"type": "bend", "power": 2.0}),
        (["objective.path=bend", "objective.path.power=7"], {"type": "bend", "power": 7.0}),
        (["objective.path={type: bend, power: 7}", "objective.path.type=line"], {"type": "line"}),
        (["objective.path={type: bend, power: 7}", "objective.path.type=bend"], {"type": "bend", "power": 7.0}),
    ],
)
@pytest.mark.parametrize("objective", ["slotted", "{type: slotted}", "{type: slotted, path: line}"])
def test_overrides_reach_into_slots_also_over_a_name_or_a_default(objective, overrides, path):
    assert data_of(objective, *overrides)["path"] == path


def test_an_override_reaches_a_default_three_slots_deep():
    assert data_of("slotted", "objective.weighting.times.path.power=9")["weighting"]["times"]["path"]["power"] == 9


def test_a_new_type_of_a_section_drops_the_old_fields():
    recipe = parsed(text_of(sampler="sampler: {type: steps, num_steps: 7}"), "sampler.type=my-dist/other")
    assert recipe.resolved()["sampler"] == {"type": "my-dist/other", "num_steps": 1, "name": ""}


# `objective: {type: slotted, ` has 27 characters, so what follows begins in column 28.
MISTAKES = {
    "path: 5": "6:34: objective.path: got 5; expected a mapping such as {type: bend}",
    "path: [line]": "6:34: objective.path: got a list; expected a mapping such as {type: bend}",
    "path: lin": "6:34: objective.path: no path 'lin' is installed; expected one of ",
    "path: heavy": "6:34: objective.path: no path 'heavy' is installed; 'heavy' is a weighting; expected one of ",
    "path: {type: lin}": "6:41: objective.path.type: no path 'lin' is installed; expected one of ",
    "path: {type: 3}": "6:41: objective.path.type: got 3; expected one of 'bend', 'blend', 'line', 'loop', 'needy'",
    "path: {type: other-dist/x}": "6:41: objective.path.type: no path 'other-dist/x' is installed; 'other-dist' is",
    "path: {type: bend, power: x}": "6:54: objective.path.power: got the text 'x'; expected a number",
    "path: {type: bend, power: 0}": "6:54: objective.path.power: got 0; expected a number greater than 0",
    "path: {type: bend, powr: 1}": "6:47: objective.path.powr: unknown field; expected one of 'power'; did you mean",
    "path: {type: line, power: 1}": "6:47: objective.path.power: unknown field; it has no fields",
    "path: needy": "6:34: objective.path.power: missing; expected a value, since there is no default",
    "path: {type: needy}": "6:34: objective.path.power: missing; expected a value, since there is no default",
    "path: loop": "6:34: objective.path: slots are nested more than 16 deep; does the default of a slot contain",
    "path: {type: bend, power: 99}": "6:54: objective.path.power: too bent for the data",
    "weighting: {times: {path: {type: bend, power: x}}}": (
        "6:74: objective.weighting.times.path.power: got the text 'x'; expected a number"
    ),
    "weighting: {times: {path: bnd}}": "6:54: objective.weighting.times.path: no path 'bnd' is installed; ",
    "weighting: {times: {share: 2}}": (
        "6:55: objective.weighting.times.share: got 2; expected a number less than or equal to 1"
    ),
    "weighting: {times: {pth: line}}": (
        "6:48: objective.weighting.times.pth: unknown field; expected one of 'path', 'share'; did you mean 'path'?"
    ),
    "weighting: {times: {path: needy}}": "6:54: objective.weighting.times.path.power: missing; expected a value",
    "path: {type: blend, rest: [line, {type: bend, power: x}]}": (
        "6:81: objective.path.rest.1.power: got the text 'x'; expected a number"
    ),
    "path: {type: blend, rest: [line, bnd]}": "6:61: objective.path.rest.1: no path 'bnd' is installed; ",
    "path: {type: blend, spare: {type: bnd}}": "6:62: objective.path.spare.type: no path 'bnd' is installed; ",
    "path: {type: blend, named: {a: {type: bend, powr: 1}}}": (
        "6:72: objective.path.named.a.powr: unknown field; expected one of 'power'; did you mean 'power'?"
    ),
}


@pytest.mark.parametrize(("fields", "expected"), MISTAKES.items())
def test_a_mistake_in_a_slot_is_told_where_it_stands(fields, expected):
    (problem,) = problems(objective=f"objective: {{type: slotted, {fields}}}", registry=SLOTS)
    assert problem.startswith(f"r.yaml:{expected}")


def test_mistakes_in_several_slots_are_told_at_once():
    objective = "objective: {type: slotted, path: {type: bend, power: x}, weighting: {times: {share: 2, path: bnd}}}"
    assert len(problems(objective=objective, registry=SLOTS)) == 3


def test_configs_with_slots_compare_and_pickle():
    one, same = (SLOTS.resolve("objective", "slotted") for _ in range(2))
    assert one == same
    assert pickle.loads(pickle.dumps(one)) == one
    assert SLOTS.resolve("objective", {"type": "slotted", "path": "bend"}) != one
    assert SLOTS.resolve("objective", to_data(one)) == one


def test_two_components_with_one_config_class_differ():
    registry = registry_of({"straight": LineConfig, "line": LineConfig})
    assert registry.resolve("path", "line") != registry.resolve("path", "straight")


def test_a_recipe_with_slots_survives_the_round_trip():
    recipe = recipe_with("{type: slotted, path: {type: blend, rest: [bend], spare: line}}")
    again = parse_recipe(dump_recipe(recipe), "again", (), SLOTS)
    assert again == recipe
    assert dump_recipe(again) == dump_recipe(recipe)


def test_every_component_is_listed_with_its_path():
    recipe = recipe_with("{type: slotted, path: {type: blend, rest: [bend]}}")
    found = {".".join(path): type_of(config) for path, config in recipe.components()}
    assert {path: name for path, name in found.items() if path.startswith("objective")} == {
        "objective": "slotted",
        "objective.path": "blend",
        "objective.path.first": "line",
        "objective.path.rest.0": "bend",
        "objective.weighting": "heavy",
        "objective.weighting.times": "clock",
        "objective.weighting.times.path": "bend",
    }


def test_inner_components_are_built_and_passed_by_keyword():
    blend = "{type: blend, rest: [bend, line], either: 0.25, named: {a: bend}}"
    made = build(recipe_with(f"{{type: slotted, path: {blend}}}").objective)
    assert set(made.inner) == {"path", "weighting"}
    path = made.inner["path"]
    assert [type(part.config) for part in path.inner["rest"]] == [BendConfig, LineConfig]
    assert (path.inner["spare"], path.inner["either"]) == (None, 0.25)
    assert type(path.inner["named"]["a"].config) is BendConfig
    assert type(made.inner["weighting"].inner["times"].inner["path"].config) is BendConfig


def test_a_config_with_slots_needs_a_registry():
    with pytest.raises(PluginError, match="can only be made by a registry"):
        SlottedConfig()
    with pytest.raises(ValidationError):
        SLOTS.resolve("objective", {"type": "slotted", "path": 3})


def faults(data):
    schema = recipe_schema(SLOTS)
    jsonschema.Draft202012Validator.check_schema(schema)
    return [error.json_path for error in jsonschema.Draft202012Validator(schema).iter_errors(data)]


@pytest.mark.parametrize(
    "objective",
    ["slotted", "{type: slotted}", "{type: slotted, path: bend}", "{type: slotted, weighting: {times: {share: 1}}}"],
)
def test_the_schema_accepts_each_form(objective):
    assert faults(yaml.safe_load(text_of(objective=f"objective: {objective}"))) == []
    assert faults(json.loads(json.dumps(recipe_with(objective).resolved()))) == []


@pytest.mark.parametrize(
    ("objective", "place"),
    [
        ("slottd", "$.objective"),
        ("{type: slotted, path: lin}", "$.objective.path"),
        ("{type: slotted, path: needy}", "$.objective.path"),
        ("{type: slotted, path: {type: bend, power: x}}", "$.objective.path.power"),
        ("{type: slotted, weighting: {times: {share: 2}}}", "$.objective.weighting.times.share"),
        ("{type: slotted, weighting: {tims: clock}}", "$.objective.weighting"),
    ],
)
def test_the_schema_finds_mistakes_in_slots(objective, place):
    assert place in faults(yaml.safe_load(text_of(objective=f"objective: {objective}")))


class Settings(Strict):
    path: PathConfig = slot("line")


def test_a_slot_in_settings_inside_a_config_is_refused():
    with pytest.raises(PluginError, match="a slot must be a field of the config itself"):

        class HiddenConfig(ObjectiveConfig):
            settings: Settings | None = None


class FlavorConfig(Config):
    """A kind that gentoolkit does not have."""

    kind = "flavor"


class SweetConfig(FlavorConfig):
    sugar: int = 3


@dataclass
class Sweet:
    config: SweetConfig
    seed: int


class FlavoredConfig(ObjectiveConfig):
    flavor: FlavorConfig = slot("sweet")


def test_a_new_kind_is_one_row_in_the_table(monkeypatch):
    monkeypatch.setitem(KINDS, "flavor", Kind(FlavorConfig, f"{__name__}:Sweet", ("path",), arguments=("seed",)))
    assert slots_of(FlavoredConfig) == {"flavor": "flavor"}
    registry = registry_of({"flavored": FlavoredConfig})
    component = Component("sweet", SweetConfig, f"{__name__}:Sweet")
    registry.add(Entry("sweet", component, "gentoolkit", "1.0"))
    text = text_of(objective="objective: {type: flavored, flavor: {sugar: 5}}")
    recipe = parse_recipe(text, "r.yaml", (), registry)
    assert recipe.resolved()["objective"]["flavor"] == {"type": "sweet", "sugar": 5}
    assert build(recipe.objective, seed=7).inner["flavor"].seed == 7
    assert "flavor:sweet" in recipe_schema(registry)["$defs"]
    assert [path for path, _ in configs_in(recipe.objective)] == [(), ("flavor",)]
    with pytest.raises(Exception, match=r"objective\.flavor: no flavor 'swet' is installed; .* did you mean 'sweet'"):
        parse_recipe(text, "r.yaml", ["objective.flavor=swet"], registry)


def test_a_component_of_a_deferred_kind_is_built_by_the_one_around_it(monkeypatch):
    row = Kind(FlavorConfig, f"{__name__}:Sweet", ("path",), arguments=("seed",), deferred=True)
    monkeypatch.setitem(KINDS, "flavor", row)
    registry = registry_of({"flavored": FlavoredConfig})
    registry.add(Entry("sweet", Component("sweet", SweetConfig, f"{__name__}:Sweet"), "gentoolkit", "1.0"))
    make = build(registry.resolve("objective", "flavored"), seed=7).inner["flavor"]
    assert (make().seed, make(seed=8).seed, make().config.sugar) == (7, 8, 3)
    assert build(registry.resolve("flavor", "sweet"), seed=9).seed == 9


def test_anything_in_a_slot_is_a_recipe_or_a_recipe_error():
    for value in ("null", "true", "[]", "{}", "''", "{type: }", "{type: line, type: bend}", "{type: blend, rest: {}}"):
        assert all(problem.startswith("r.yaml:") for problem in problems(dataset=f"dataset: {value}"))
