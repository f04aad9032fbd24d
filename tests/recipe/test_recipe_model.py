import json

import pytest
import yaml
from fake_parts import parsed, text_of
from hypothesis import given
from hypothesis import strategies as st

from gentoolkit.api import Labels
from gentoolkit.configs import to_data
from gentoolkit.recipe import dump_recipe
from gentoolkit.settings import TrainSettings


def test_resolved_has_all_defaults_in_the_order_of_a_recipe():
    resolved = parsed(text_of(seed=None, metrics=None, sample=None)).resolved()
    assert list(resolved) == [
        "version", "name", "seed", "device", "dataset", "codec", "source", "coupling", "backbone", "objective",
        "sampler", "guidance", "metrics", "observers", "init_from", "train", "sample", "evaluate",
    ]  # fmt: skip
    assert resolved["dataset"] == {"type": "blobs", "size": 8, "condition": "labels", "paired": False}
    assert (resolved["seed"], resolved["metrics"], resolved["sampler"]["num_steps"]) == (0, [], 20)
    assert set(resolved["train"]) == set(TrainSettings.model_fields)
    assert json.loads(json.dumps(resolved)) == resolved


def test_the_spec_is_droppable_where_training_drops_conditions():
    assert parsed(text_of()).spec.condition == Labels(3, droppable=False)
    assert parsed(text_of(), "train.condition_dropout=0.1").spec.condition == Labels(3, droppable=True)
    assert parsed(text_of(), "dataset.condition=none").spec.condition is None


def test_equal_recipes_differ_in_text_only():
    assert parsed(text_of()) == parsed("# a comment\n" + text_of())
    assert parsed(text_of()) != parsed(text_of(), "seed=1")
    assert parsed(text_of()) != parsed(text_of(), "backbone.depth=3")


def test_a_part_is_plain_data_with_its_type():
    assert to_data(parsed(text_of()).metrics[0]) == {"type": "distance", "num_projections": 64}


# Text that YAML 1.2 or 1.1 reads as something else, or that needs care.
TRAPS = [
    "no", "yes", "1e3", "1e-4", "0o17", "0x1F", "012", "1_000", "1:30", ".5", "5.", "1e999", "null", "~", "", "true",
    ".inf", ".nan", "<<", "=", "- a", "a: b", "# a", "a #b", "'", '"', "a\nb", " a ", "\u2028", "\x85", "\ufeff",
    "\x00", "é", "2001-01-01", "!!str a", "&a", "*a", "{", "%", "@", "`", "| ", "x" * 300, "word " * 60, "🎲",
]  # fmt: skip


def round_trip(recipe):
    text = dump_recipe(recipe)
    again = parsed(text)
    assert again == recipe
    assert dump_recipe(again) == text
    assert again.resolved() == recipe.resolved()


@pytest.mark.parametrize("text", TRAPS)
def test_text_survives_the_round_trip(text):
    recipe = parsed(text_of(), "sampler={type: my-dist/other, name: " + json.dumps(text) + "}")
    assert recipe.sampler.name == text
    round_trip(recipe)


@given(st.text(max_size=40), st.dictionaries(st.text(max_size=6), st.floats(allow_nan=False, allow_infinity=False)))
def test_any_text_and_any_key_survive_the_round_trip(text, scales):
    base = parsed(text_of(), "sampler.type=my-dist/other")
    sampler = base.sampler.model_copy(update={"name": text})
    backbone = base.backbone.model_copy(update={"scales": scales})
    round_trip(base.model_copy(update={"sampler": sampler, "backbone": backbone}))


rates = st.floats(min_value=0, max_value=1e300, exclude_min=True)


@given(
    learning_rate=rates | st.sampled_from([1e-05, 1e-4, 1e22, 5e-324, 0.1]),
    clip_norm=st.none() | rates,
    betas=st.tuples(*[st.floats(min_value=0, max_value=1, exclude_max=True)] * 2),
    steps=st.integers(1, 2**40),
    classes=st.none() | st.lists(st.integers(0, 2), min_size=1),
    seed=st.integers(0, 2**63 - 1),
    depth=st.integers(15, 49),
    layers=st.lists(st.fixed_dictionaries({"width": st.integers(), "dropout": st.floats(0, 1)}), max_size=3),
)
def test_any_settings_survive_the_round_trip(learning_rate, clip_norm, betas, steps, classes, seed, depth, layers):
    optimizer = {"learning_rate": learning_rate, "betas": list(betas)}
    train = {"steps": steps, "clip_norm": clip_norm, "optimizer": optimizer}
    recipe = parsed(
        text_of(
            train=f"train: {json.dumps(train)}",
            sample=f"sample: {json.dumps({'classes': classes})}",
            seed=f"seed: {seed}",
            backbone=f"backbone: {json.dumps({'type': 'net', 'depth': depth, 'layers': layers})}",
        )
    )
    made = recipe.train.optimizer
    assert (made.learning_rate, recipe.train.clip_norm, made.betas) == (learning_rate, clip_norm, betas)
    round_trip(recipe)


def test_the_dump_is_yaml_for_other_readers_too():
    recipe = parsed(text_of(), "train.optimizer.learning_rate=1e-5", "sampler={type: my-dist/other, name: 'no'}")
    assert yaml.safe_load(dump_recipe(recipe)) == recipe.resolved()
