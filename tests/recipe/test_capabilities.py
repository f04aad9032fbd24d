"""What components need of each other is checked by what their configs declare, before torch is imported."""

from functools import partial

import pytest
from fake_parts import REGISTRY, NetConfig, StepsConfig, text_of
from fake_parts import problems as problems_with

from gentoolkit.api import Component, GuidanceConfig, Need, ObjectiveConfig, PathConfig, slot
from gentoolkit.errors import RecipeError
from gentoolkit.recipe import parse_recipe
from gentoolkit.registry import Entry, Registry


class TokenwiseConfig(ObjectiveConfig):
    tokens: int | None = 4

    def needs(self):
        return () if self.tokens is None else (Need("backbone", "tokens", "tokens"),)


class MapsConfig(ObjectiveConfig):
    def offers(self):
        return ("velocity", "flow_map")


class JumpConfig(StepsConfig):
    def needs(self):
        return (Need("field", "flow_map"),)


class NoisyConfig(StepsConfig):
    def needs(self):
        return (Need("source", "gaussian"), Need("field", "velocity"))


class GuidesConfig(GuidanceConfig):
    def needs(self):
        return (Need("data", "condition"), Need("data", "null_condition"))


class BrokenConfig(ObjectiveConfig):
    def needs(self):
        return 1 / 0


class TransformerConfig(NetConfig):
    depth: int = 1

    def offers(self):
        return ("tokens",)


class PickyPathConfig(PathConfig):
    """A path that needs labels, from inside a slot."""

    def needs(self):
        return (Need("data", "labels"),)


class SlottedConfig(ObjectiveConfig):
    path: PathConfig = slot("picky")


COMPONENTS = {
    "tokenwise": TokenwiseConfig,
    "maps": MapsConfig,
    "jump": JumpConfig,
    "noisy": NoisyConfig,
    "guides": GuidesConfig,
    "transformer": TransformerConfig,
    "picky": PickyPathConfig,
    "slotted": SlottedConfig,
    "broken": BrokenConfig,
}
CAPABLE = Registry()
CAPABLE.add(*REGISTRY.entries())
for name, config in COMPONENTS.items():
    spec = REGISTRY.get("backbone", "net").component.tiny_spec if issubclass(config, NetConfig) else None
    CAPABLE.add(Entry(name, Component(name, config, "nowhere:Part", tiny_spec=spec), "gentoolkit", "1.0"))


problems = partial(problems_with, registry=CAPABLE)


def test_a_backbone_without_tokens_is_told_at_the_field_with_one_that_has_them():
    assert problems(objective="objective: {type: tokenwise, tokens: 2}") == [
        "r.yaml:6:38: objective.tokens: objective tokenwise needs tokens of the backbone; backbone net offers nothing; "
        "a backbone that offers it: 'transformer'"
    ]
    assert problems("backbone=transformer", objective="objective: {type: tokenwise, tokens: 2}") == []
    assert problems(objective="objective: {type: tokenwise, tokens: null}") == []


def test_a_sampler_of_flow_maps_needs_an_objective_that_trains_one():
    assert problems(sampler="sampler: jump") == [
        "r.yaml:7:10: sampler: sampler jump needs flow_map of the field; objective matching offers velocity; "
        "an objective that offers it: 'maps'"
    ]
    assert problems(sampler="sampler: jump", objective="objective: maps") == []


def test_a_guidance_that_keeps_only_velocities_makes_a_flow_map_one():
    found = problems(
        "guidance=guides", "train.condition_dropout=0.1", sampler="sampler: jump", objective="objective: maps"
    )
    assert found == [
        "r.yaml:7:10: sampler: sampler jump needs flow_map of the field; objective maps offers flow_map, velocity; "
        "guidance guides keeps velocity"
    ]


def test_guidance_needs_conditions_that_training_drops():
    assert problems("guidance=guides", dataset="dataset: {type: blobs, condition: none}") == [
        "override 'guidance=guides': guidance: guidance guides needs conditions of the data; "
        "dataset blobs offers nothing; no installed dataset offers it"
    ]
    assert problems("guidance=guides") == [
        "override 'guidance=guides': guidance: guidance guides needs dropped conditions of the data; "
        "dataset blobs offers conditions, labels; set train.condition_dropout above 0, such as 0.1"
    ]
    assert problems("guidance=guides", "train.condition_dropout=0.1") == []
    assert problems("guidance=[guides, guides]", "train.condition_dropout=0.1") == []


def test_a_need_inside_a_slot_is_told_there():
    lines = {
        "dataset": "dataset: {type: blobs, condition: none}",
        "objective": "objective: {type: slotted, path: picky}",
    }
    (problem,) = problems(**lines)
    assert problem.startswith("r.yaml:6:34: objective.path: path picky needs labels of the data; ")


def test_needs_of_an_invalid_section_wait_until_it_is_valid():
    (problem,) = problems(objective="objective: {type: tokenwise, tokens: x}", sampler="sampler: jump")
    assert problem.startswith("r.yaml:6:38: objective.tokens: got the text 'x'")


@pytest.mark.parametrize("guidance", ["guides", "{type: guides}", "[guides]", "[{type: guides}]"])
def test_a_list_of_one_may_be_written_without_brackets(guidance):
    text = text_of(train="train: {epochs: 5, condition_dropout: 0.1}") + f"guidance: {guidance}\n"
    recipe = parse_recipe(text, "r.yaml", (), CAPABLE)
    assert recipe.resolved()["guidance"] == [{"type": "guides"}]


def test_a_mistake_in_a_list_of_one_is_told_where_it_stands():
    text = text_of() + "guidance: {type: guides, scale: 2}\n"
    with pytest.raises(RecipeError, match=r"^r\.yaml:11:26: guidance\.scale: unknown field; it has no fields$"):
        parse_recipe(text, "r.yaml", (), CAPABLE)


def test_a_fault_in_what_is_declared_is_told_as_a_bug_of_the_package():
    assert problems(objective="objective: broken") == [
        "r.yaml:1:1: needs() of 'broken' raised ZeroDivisionError: division by zero; this is a bug in gentoolkit"
    ]
