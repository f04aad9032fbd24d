import pytest
from fake_parts import parsed, problems, text_of, type_of
from hypothesis import given
from hypothesis import strategies as st


def test_an_override_replaces_a_value_and_is_typed():
    recipe = parsed(text_of(), "train.epochs=7", "backbone.depth= 3", "name=other", "backbone.rate=1e-3")
    assert (recipe.train.epochs, recipe.backbone.depth, recipe.name) == (7, 3, "other")
    assert recipe.backbone.rate == 1e-3
    assert recipe.text == text_of()


def test_an_override_may_add_a_field_and_a_section():
    recipe = parsed(text_of(sample=None), "sample.per_class=3", "evaluate.per_class=2", "sampler.num_steps=4")
    assert (recipe.sample.per_class, recipe.evaluate.per_class) == (3, 2)
    assert recipe.sampler.num_steps == 4


def test_an_override_reaches_into_a_list():
    lines = {"metrics": "metrics: [{type: distance}, {type: distance, num_projections: 1}]"}
    recipe = parsed(text_of(**lines), "metrics.1.num_projections=9")
    assert [part.num_projections for part in recipe.metrics] == [64, 9]


def test_an_override_may_be_a_mapping_a_list_or_null():
    recipe = parsed(
        text_of(),
        "sampler={type: my-dist/other, num_steps: 3}",
        "train.clip_norm=null",
        "train.optimizer.betas=[0.8, 0.9]",
    )
    assert (type_of(recipe.sampler), recipe.sampler.num_steps) == ("my-dist/other", 3)
    assert (recipe.train.clip_norm, recipe.train.optimizer.betas) == (None, (0.8, 0.9))


def test_of_two_overrides_the_later_counts():
    assert parsed(text_of(), "train.epochs=7", "train.epochs=8").train.epochs == 8
    assert parsed(text_of(), "sampler.num_steps=9", "sampler={type: steps}").sampler.num_steps == 20


def test_only_the_first_equals_sign_separates():
    assert parsed(text_of(), "sampler={type: my-dist/other, name: a=b}").sampler.name == "a=b"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epochs=x", "train.epochs: got the text 'x'; expected a whole number"),
        ("train.epochs='5'", "train.epochs: got the text '5'; expected a whole number; remove the quotes"),
        ("train.epochs", "not an override; expected path=value, such as train.epochs=5"),
        ("=5", "not an override; expected path=value, such as train.epochs=5"),
        ("train..epochs=5", "not an override; expected path=value, such as train.epochs=5"),
        (
            "train.epochs=",
            "train.epochs: no value; expected path=value, such as train.epochs=5; to set null, write train.epochs=null",
        ),
        (
            "train.optimizer.betas=[0.9",
            "train.optimizer.betas: not valid YAML: expected ',' or ']', but got '<stream end>'",
        ),
        ("train.epochs=!!int 5", "train.epochs: tag '!!int' is not allowed; "),
        ("train.epochs=.inf", "train.epochs: .inf is not a finite number"),
        ("sampler={type: steps, type: steps}", "sampler.type: duplicate key; "),
        ("train.epoch=5", "train.epoch: unknown field; expected one of "),
        ("trian.epochs=5", "trian: unknown field; expected one of "),
        ("name.first=x", "name: got a mapping; expected text"),
        ("seed.first=x", "seed.first: seed is 42, not a mapping"),
        ("metrics.1.type=distance", "metrics.1: no such item; expected an index from 0 to 0"),
        ("metrics.-1.type=distance", "metrics.-1: no such item; "),
        ("metrics.00.type=distance", "metrics.00: no such item; "),
        ("sampler.num_steps={a: {b: [1]}}", "sampler.num_steps: got a mapping; expected a whole number"),
        ("sampler.type=eular", "sampler.type: no sampler 'eular' is installed; "),
        (".".join("a" * 33) + "=1", "nested more than 32 levels deep"),
    ],
)
def test_a_wrong_override_is_told_as_such(override, expected):
    assert problems(override)[0].startswith(f"override {override!r}: {expected}")


def test_an_unknown_path_gets_the_nearest():
    (problem,) = problems("train.epoch=5")
    assert problem.endswith("did you mean 'epochs'?")


def test_a_field_that_an_override_replaces_is_told_as_the_overrides():
    (problem,) = problems("train.epoch=5", train="train: {epochs: 5, epoch: 3}")
    assert problem.startswith("override 'train.epoch=5': train.epoch: unknown field")


def test_a_key_above_what_an_override_replaces_stays_the_files():
    (problem,) = problems("smaple.seed=5", sample="smaple: {seed: 3}")
    assert problem.startswith("r.yaml:10:1: smaple: unknown field")


def test_an_item_of_an_empty_list_gets_the_cure():
    (problem,) = problems("metrics.0.type=distance", metrics="metrics: []")
    assert problem.endswith("metrics.0: no such item; expected metrics=[...], as the list is empty")


def test_faults_of_overrides_come_after_those_of_the_file_in_their_order():
    found = problems("sampler.num_steps=0", "nonsense", "train.epochs=x", seed="seed: -1")
    assert [problem.partition(": ")[0] for problem in found] == [
        "r.yaml:3:7", "override 'sampler.num_steps=0'", "override 'nonsense'", "override 'train.epochs=x'",
    ]  # fmt: skip


def test_the_file_and_the_overrides_are_both_told_when_the_file_cannot_be_read():
    found = problems("nonsense", seed="seed: [")
    assert len(found) == 2


def test_an_override_mends_what_is_wrong_in_the_file():
    assert parsed(text_of(train="train: {epochs: x}"), "train.epochs=5").train.epochs == 5
    assert parsed(text_of(train="train: {epochs: 5}"), "train.epochs=null", "train.steps=9").train.steps == 9


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_override_is_applied_or_refused(path, value):
    for override in (f"{path}={value}", f"backbone.{path}={value}", f"metrics.{path}", path):
        assert all(problem.startswith("override ") for problem in problems(override))
