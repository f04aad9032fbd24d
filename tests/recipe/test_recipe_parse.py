import pytest
import yaml
from fake_parts import LINES, REGISTRY, assert_told, parsed, problems, problems_of, text_of, type_of
from hypothesis import given
from hypothesis import strategies as st

from gentoolkit.errors import RecipeError
from gentoolkit.recipe import load_recipe
from gentoolkit.recipe.reader import MAX_SIZE
from gentoolkit.registry import Registry


def test_a_recipe_is_read_and_keeps_its_text():
    recipe = parsed(text_of())
    assert (recipe.version, recipe.name, recipe.seed, recipe.device) == (2, "small", 42, "auto")
    assert list(map(type_of, [recipe.dataset, recipe.backbone, recipe.objective, recipe.sampler])) == [
        "blobs", "net", "matching", "steps",
    ]  # fmt: skip
    assert [type_of(metric) for metric in recipe.metrics] == ["distance"]
    assert (recipe.train.epochs, recipe.sample.per_class, recipe.evaluate.per_class) == (5, 8, 32)
    assert recipe.text == text_of()


def test_what_has_a_default_may_be_left_out():
    recipe = parsed(text_of(seed=None, metrics=None, sample=None))
    assert (recipe.seed, recipe.metrics, recipe.guidance) == (0, (), ())


@pytest.mark.parametrize("section", ["version", "name", "dataset", "backbone", "objective", "sampler", "train"])
def test_what_has_no_default_is_missed(section):
    (problem,) = problems(**{section: None})
    assert problem.startswith(f"r.yaml:1:1: {section}: missing; expected ")


def test_all_faults_are_told_at_once_in_the_order_of_the_file():
    text = text_of(
        version="version: 3",
        name="name: My Run",
        seed="seed: 1.5",
        dataset="dataset: {type: blob}",
        backbone="backbone: {depth: 0}",
        objective="objective: 5",
        sampler="sampler: {type: steps, num_steps: 0}",
        metrics="metrics: 5",
        train="train: {epochs: 5, steps: 5}",
        sample="smaple: {}",
    )
    expected = [
        ("1:10: version: ", "got version 3", "expected 2"),
        ("2:7: name: ", "'My Run'", "a-z, 0-9, '_' and '-'"),
        ("3:7: seed: ", "1.5", "whole number"),
        ("4:17: dataset.type: ", "'blob'", "expected one of 'blobs'", "did you mean 'blobs'?"),
        ("5:11: backbone.type: ", "missing", "'net'"),
        ("6:12: objective: ", "got 5", "{type: matching}"),
        ("7:35: sampler.num_steps: ", "got 0", "greater than or equal to 1"),
        ("8:10: metrics: ", "got 5", "list"),
        ("9:8: train: ", "'epochs' and 'steps'"),
        ("10:1: smaple: ", "unknown", "'sample', 'sampler'", "did you mean 'sample'?"),
    ]
    assert_told(problems_of(text), expected)


@pytest.mark.parametrize("version", ["true", "'2'", "2.0", "0", "null", "1"])
def test_only_version_2_is_read(version):
    (problem,) = problems(version=f"version: {version}")
    assert problem.startswith("r.yaml:1:10: version: ")


@pytest.mark.parametrize("seed", ["-1", str(2**63), "true", "'1'", "1e3", "null"])
def test_a_seed_is_a_whole_number_of_63_bits(seed):
    (problem,) = problems(seed=f"seed: {seed}")
    assert problem.startswith("r.yaml:3:7: seed: ")
    assert parsed(text_of(seed=f"seed: {2**63 - 1}")).seed == 2**63 - 1


@pytest.mark.parametrize("name", ["''", "-a", "_a", "a/b", "..", "A", "é", "'a\\n'", '"a\\n"', "a" * 201, "5"])
def test_a_name_is_a_folders_name(name):
    (problem,) = problems(name=f"name: {name}")
    assert problem.startswith("r.yaml:2:7: name: ")


@pytest.mark.parametrize("name", ["a", "0-a_b", "a" * 200])
def test_names_that_are_fine(name):
    assert parsed(text_of(name=f"name: {name}")).name == name


def test_devices():
    assert parsed(text_of() + "device: cuda\n").device == "cuda"
    assert problems_of(text_of() + "device: gpu\n")[0].startswith(
        "r.yaml:11:9: device: got the text 'gpu'; expected 'auto', 'cpu', 'cuda' or 'mps'"
    )


def test_a_type_must_be_text():
    assert problems(sampler="sampler: {type: 1}") == [
        "r.yaml:7:17: sampler.type: got 1; expected one of 'my-dist/other', 'steps'"
    ]


def test_a_package_that_is_not_installed_and_a_plugin_that_is_broken_are_told():
    sampler = {"sampler": "sampler: {type: no-such-dist/heun}"}
    assert "pip install no-such-dist" in problems_of(text_of(**sampler))[0]
    registry = Registry()
    registry.add(*REGISTRY.entries())
    registry.add_broken("no-such-dist", "main: ZeroDivisionError: division by zero")
    (problem,) = problems_of(text_of(**sampler), registry=registry)
    assert "a plugin of no-such-dist is broken: main: ZeroDivisionError: division by zero" in problem


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "- 1\n", "just text", "5", "null"])
def test_a_text_that_is_no_mapping(text):
    (problem,) = problems_of(text)
    assert problem.startswith("r.yaml:")
    assert (
        "expected a mapping with version, name, seed, device, dataset, codec, source, coupling, backbone, " in problem
    )


def test_a_syntax_error_is_told_with_its_place():
    (problem,) = problems(seed="seed: 1: 2")
    assert problem.startswith("r.yaml:3:8: not valid YAML: mapping values are not allowed here")


def test_problems_stay_on_one_line_whatever_the_keys_are():
    assert problems_of(text_of() + '"a\\nb": 1\n? ""\n: 2\n')[0].startswith("r.yaml:11:1: 'a\\nb': unknown field")


def test_a_file_is_read(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_bytes(text_of().replace("\n", "\r\n").encode())
    recipe = load_recipe(file, ["train.epochs=9"], REGISTRY)
    assert recipe.train.epochs == 9
    assert recipe.text == text_of().replace("\n", "\r\n")
    assert load_recipe(str(file), registry=REGISTRY).train.epochs == 5


def failure(path):
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, registry=REGISTRY)
    return str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "recipe.yaml").write_text(text_of())
    assert failure(tmp_path / "recpie.yaml") == f"{tmp_path}/recpie.yaml: no such file; did you mean 'recipe.yaml'?"
    assert failure(tmp_path / "no" / "file.yaml") == f"{tmp_path}/no/file.yaml: no such file"
    assert failure(tmp_path) == f"{tmp_path}: is a directory; expected a recipe file; it contains: 'recipe.yaml'"
    assert "cannot be read" in failure(tmp_path / "recipe.yaml" / "x")
    assert "cannot be read" in failure("a\0b")


def test_a_file_that_is_not_utf8_is_told_with_the_byte(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_bytes("version: 1\nname: é".encode("latin-1"))
    assert failure(file) == f"{file}:2:7: byte 0xe9 is not UTF-8; save the file as UTF-8"
    file.write_bytes(text_of().encode("utf-16"))
    assert failure(file).startswith(f"{file}:1:1: byte 0xff is not UTF-8")


def test_a_file_that_is_too_large(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("#" * MAX_SIZE)
    assert failure(file).startswith(f"{file}:1:1: the recipe is empty")
    file.write_text("#" * (MAX_SIZE + 1))
    assert failure(file) == f"{file}: too large for a recipe; the limit is {MAX_SIZE} bytes"


def parse_or_refuse(text):
    assert all(problem.startswith("r.yaml:") for problem in problems_of(text))


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_is_a_recipe_or_a_recipe_error(text):
    parse_or_refuse(text)


@given(st.sampled_from(list(LINES)), st.text(max_size=30))
def test_any_text_in_a_section_is_a_recipe_or_a_recipe_error(section, value):
    parse_or_refuse(text_of(**{section: f"{section}: {value}"}))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
names = st.sampled_from(["type", "depth", "epochs", "num_steps", "classes", "head", "kernel", "betas", "blobs", "net"])
values = st.recursive(
    scalars | names, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | scalars, inner, max_size=4)
)


@given(st.dictionaries(st.sampled_from([*LINES, "evaluate", "device"]), values))
def test_any_data_is_a_recipe_or_a_recipe_error(data):
    parse_or_refuse(text_of() + yaml.safe_dump(data))
    parse_or_refuse(yaml.safe_dump({**yaml.safe_load(text_of()), **data}))
