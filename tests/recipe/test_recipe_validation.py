import pytest
from fake_parts import assert_told, parsed, problems, text_of


def backbone(fields):
    """Return the faults of a backbone with these fields besides a valid depth; it stands in line 5."""
    return problems(backbone=f"backbone: {{type: net, depth: 2, {fields}}}")


# `backbone: {type: net, depth: 2, ` has 32 characters, so the first field begins in column 33.
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("patch: '2'", "5:40: backbone.patch: got the text '2'; expected a whole number; remove the quotes"),
        ("patch: two", "5:40: backbone.patch: got the text 'two'; expected a whole number"),
        ("patch: true", "5:40: backbone.patch: got true; expected a whole number"),
        ("patch: 2.0", "5:40: backbone.patch: got 2.0; expected a whole number"),
        ("patch: null", "5:40: backbone.patch: got null; expected a whole number"),
        ("patch: {}", "5:40: backbone.patch: got a mapping; expected a whole number"),
        ("rate: '1e-4'", "5:39: backbone.rate: got the text '1e-4'; expected a number; remove the quotes"),
        ("rate: 0", "5:39: backbone.rate: got 0; expected a number greater than 0"),
        ("rate: 1.5", "5:39: backbone.rate: got 1.5; expected a number less than or equal to 1"),
        ("rate: [1]", "5:39: backbone.rate: got a list; expected a number"),
        ("fast: yes", "5:39: backbone.fast: got the text 'yes'; expected true or false"),
        ("fast: 1", "5:39: backbone.fast: got 1; expected true or false"),
        ("tags: a", "5:39: backbone.tags: got the text 'a'; expected a list"),
        ("tags: [a, 1]", "5:43: backbone.tags.1: got 1; expected text"),
        ("tags: [a, b, c]", "5:39: backbone.tags: got a list; expected at most 2 items"),
        ("kernel: x", "5:41: backbone.kernel: got the text 'x'; expected a whole number or a list"),
        ("kernel: [3, x]", "5:45: backbone.kernel.1: got the text 'x'; expected a whole number"),
        ("shape: flt", "5:40: backbone.shape: got the text 'flt'; expected 'flat' or 'deep'; did you mean 'flat'?"),
        ("head: 3", "5:39: backbone.head: got 3; expected a mapping"),
        ("head: {}", "5:39: backbone.head.width: missing; expected a value, since there is no default"),
        ("head: {width: a}", "5:47: backbone.head.width: got the text 'a'; expected a whole number"),
        (
            "head: {width: 1, dropuot: 1}",
            "5:50: backbone.head.dropuot: unknown field; expected one of 'dropout', 'width'; did you mean 'dropout'?",
        ),
        (
            "layers: [{width: 1}, {width: x}]",
            "5:62: backbone.layers.1.width: got the text 'x'; expected a whole number",
        ),
        ("scales: {a: 1, b: x}", "5:51: backbone.scales.b: got the text 'x'; expected a number"),
        ("scales: {a: x, 'b\\n': 1}", "5:45: backbone.scales.a: got the text 'x'; expected a number"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words_where_it_stands(fields, expected):
    assert backbone(fields) == [f"r.yaml:{expected}"]


def test_an_unknown_field_is_told_at_its_key_with_all_fields_and_the_nearest():
    (problem,) = backbone("ptch: 2")
    fields = "'depth', 'fast', 'head', 'kernel', 'layers', 'patch', 'rate', 'scales', 'shape', 'tags'"
    assert problem == (f"r.yaml:5:33: backbone.ptch: unknown field; expected one of {fields}; did you mean 'patch'?")


def test_a_missing_field_is_told_at_its_section():
    assert problems(backbone="backbone: {type: net}") == [
        "r.yaml:5:11: backbone.depth: missing; expected a value, since there is no default"
    ]


def test_a_validator_speaks_for_itself():
    assert problems(backbone="backbone: {type: net, depth: 13}") == ["r.yaml:5:11: backbone: depth 13 is unlucky"]
    assert problems(train="train: {}") == ["r.yaml:9:8: train: set exactly one of 'epochs' and 'steps'"]


def test_a_validator_that_raises_something_else_is_no_crash():
    (problem,) = problems(backbone="backbone: {type: net, depth: 14}")
    assert problem == "r.yaml:5:11: backbone: NetConfig raised KeyError: 'a fault of the validator'"


def test_a_long_value_is_cut():
    (problem,) = backbone(f"patch: {'x' * 5000}")
    assert len(problem) < 200
    assert problem.endswith("xxx...; expected a whole number")


def test_settings_are_validated_alike():
    text = "train: {epochs: 5, schedule: cosin, optimizer: {betas: [0.9], learning_rate: -1}, ema: {}}"
    expected = [
        ("9:30: train.schedule: ", "'cosin'", "did you mean 'cosine'?"),
        ("9:56: train.optimizer.betas.1: ", "missing"),
        ("9:78: train.optimizer.learning_rate: ", "-1", "greater than 0"),
        ("9:88: train.ema: ", "'decay' and 'sigma_rel'"),
        ("10:10: sample.per_clas: ", "'batch_size', 'classes', 'per_class'", "did you mean 'per_class'?"),
        ("11:23: evaluate.per_class: ", "got 0", "greater than or equal to 2"),
    ]
    assert_told(problems(train=text, sample="sample: {per_clas: 1}", evaluate="evaluate: {per_class: 0}"), expected)


def test_what_could_not_be_read_is_told_once():
    assert backbone("rate: .inf") == ["r.yaml:5:39: backbone.rate: .inf is not a finite number"]


def test_whatever_json_can_say_a_recipe_can_set():
    text = "backbone: {type: net, depth: 2, shape: deep, kernel: [1, 2], tags: [a], layers: [{width: 1}], rate: 1}"
    config = parsed(text_of(backbone=text)).backbone
    assert (config.shape.value, config.kernel, config.tags) == ("deep", (1, 2), ("a",))
    assert config.layers[0].width == 1
    assert type(config.rate) is float


def test_what_follows_from_an_unreadable_value_is_not_told_of_the_section():
    assert problems(train="train: {epochs: .inf}") == ["r.yaml:9:17: train.epochs: .inf is not a finite number"]


def test_a_run_too_short_for_its_schedule_is_told():
    assert problems(train="train: {steps: 5, schedule: {warmup_steps: 5}}") == [
        "r.yaml:9:44: train.schedule.warmup_steps: too long for 5 steps"
    ]
    assert problems(train="train: {steps: 5, schedule: {warmup_steps: 666}}") == [
        "r.yaml:9:29: train.schedule: check_length() of 'cosine' raised RuntimeError: no such length; "
        "this is a bug in gentoolkit"
    ]
