"""Paths of the user's data in a recipe: where they start, what is told of one that does not exist."""

import subprocess
import sys
from pathlib import Path

import pytest
from fake_parts import REGISTRY, text_of

from gentoolkit.api import Component, DataFile, DataFolder, DatasetConfig, DataSpec, MetricConfig, UsageError
from gentoolkit.errors import RecipeError
from gentoolkit.recipe import dump_recipe, load_recipe, parse_recipe
from gentoolkit.recipe.schema import recipe_schema
from gentoolkit.registry import Entry, Registry


class FilesConfig(DatasetConfig):
    file: DataFile
    folder: DataFolder | None = None

    def spec(self):
        size = self.file.path.stat().st_size
        if size == 0:
            raise UsageError(f"{self.file}: is empty\n  and so of no use")
        return DataSpec((1, size, size))


class BesideConfig(MetricConfig):
    files: tuple[DataFile, ...]


@pytest.fixture(scope="module")
def registry():
    made = Registry()
    made.add(*REGISTRY.entries())
    for component in (
        Component("files", FilesConfig, "nowhere:Files"),
        Component("beside", BesideConfig, "nowhere:Beside"),
    ):
        made.add(Entry(component.name, component, "gentoolkit", "1.0"))
    return made


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A folder of the recipe and the current folder, each with other data of the same name."""
    for name, content in (("recipes", "12"), ("here", "1234")):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "points.csv").write_text(content)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "recipes", tmp_path / "here"


def loaded(registry, folder, dataset, *overrides, **lines):
    (folder / "r.yaml").write_text(text_of(dataset=f"dataset: {{type: files, {dataset}}}", **lines))
    return load_recipe(Path("..") / folder.name / "r.yaml", overrides, registry)


def told(registry, folder, dataset, *overrides, **lines):
    with pytest.raises(RecipeError) as error:
        loaded(registry, folder, dataset, *overrides, **lines)
    return error.value.problems


def test_a_relative_path_starts_at_the_recipes_folder(registry, folders):
    recipe = loaded(registry, folders[0], "file: points.csv, folder: ../here/data")
    assert recipe.dataset.file.path.samefile(folders[0] / "points.csv")
    assert recipe.dataset.folder.path.samefile(folders[1] / "data")
    assert recipe.data_spec.shape == (1, 2, 2)


@pytest.mark.parametrize("override", ["dataset.file=points.csv", "dataset={type: files, file: points.csv}"])
def test_a_relative_path_in_an_override_starts_at_the_current_folder(registry, folders, override):
    recipe = loaded(registry, folders[0], "file: points.csv", override)
    assert recipe.dataset.file.path == folders[1] / "points.csv"
    assert recipe.data_spec.shape == (1, 4, 4)
    # The same text elsewhere in the recipe stays where it is.
    other = loaded(registry, folders[0], "file: points.csv", "dataset.folder=data")
    assert other.dataset.file.path.samefile(folders[0] / "points.csv")
    assert other.dataset.folder.path == folders[1] / "data"


def test_an_absolute_path_and_one_at_home_stay(registry, folders, monkeypatch):
    monkeypatch.setenv("HOME", str(folders[1]))
    for given in (folders[1] / "points.csv", "~/points.csv"):
        assert loaded(registry, folders[0], f"file: {given}").dataset.file.path == folders[1] / "points.csv"


def test_the_resolved_recipe_means_the_same_from_any_folder(registry, folders, monkeypatch):
    recipe = loaded(registry, folders[0], "file: points.csv", "dataset.folder=data")
    text = dump_recipe(recipe)
    monkeypatch.chdir("/")
    again = parse_recipe(text, "/tmp/run-1/resolved.yaml", registry=registry)
    assert again.resolved() == recipe.resolved()
    assert again.dataset == recipe.dataset
    assert Path(again.resolved()["dataset"]["file"]).is_absolute()


def test_paths_in_lists_and_of_a_component_without_brackets_are_found(registry, folders):
    one = loaded(registry, folders[0], "file: points.csv", metrics="metrics: {type: beside, files: [points.csv]}")
    assert one.metrics[0].files[0].path.samefile(folders[0] / "points.csv")
    problems = told(registry, folders[0], "file: points.csv", metrics="metrics: {type: beside, files: [points.csv, x]}")
    assert problems == (f"../recipes/r.yaml:8:45: metrics.files.1: there is no file {Path('../recipes/x').absolute()}",)


def test_what_does_not_exist_is_told_at_its_place_with_all_other_faults(registry, folders):
    recipes = Path("../recipes").absolute()
    assert told(registry, folders[0], "file: point.csv, folder: points.csv", sample="sampel: {}") == (
        f"../recipes/r.yaml:4:30: dataset.file: there is no file {recipes}/point.csv; did you mean 'points.csv'?",
        f"../recipes/r.yaml:4:49: dataset.folder: {recipes}/points.csv is a file; expected a folder",
        *told(registry, folders[0], "file: points.csv", sample="sampel: {}"),
    )
    assert told(registry, folders[0], "file: data") == (
        f"../recipes/r.yaml:4:30: dataset.file: {recipes}/data is a folder; expected a file",
    )
    (problem,) = told(registry, folders[0], "file: points.csv", "dataset.folder=no/where")
    assert problem == f"override 'dataset.folder=no/where': dataset.folder: there is no folder {folders[1]}/no/where"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("''", "got the text ''; expected at least 1 character"),
        ("3", "got 3; expected text"),
        ('"a\\0b"', "got the text 'a\\x00b'; expected text of the pattern"),
    ],
)
def test_what_is_no_path_is_told(registry, folders, given, expected):
    (problem,) = told(registry, folders[0], f"file: {given}")
    assert problem.startswith(f"../recipes/r.yaml:4:30: dataset.file: {expected}")


def test_what_spec_says_of_the_users_files_is_no_bug_of_the_plugin(registry, folders):
    (folders[0] / "empty.csv").touch()
    (problem,) = told(registry, folders[0], "file: empty.csv")
    path = Path("../recipes/empty.csv").absolute()
    assert problem == f"../recipes/r.yaml:4:10: dataset: {path}: is empty; and so of no use"


def test_an_instance_is_taken_too(folders):
    file = DataFile(str(folders[1] / "points.csv"))
    assert FilesConfig(file=file).file == file
    assert FilesConfig.model_validate_json(FilesConfig(file=file).model_dump_json()).file == file


def test_a_path_in_the_schema_is_text(registry):
    properties = recipe_schema(registry)["$defs"]["dataset:files"]["properties"]
    assert properties["file"]["type"] == "string"


def test_the_module_imports_no_torch_and_no_numpy():
    program = "import sys, gentoolkit.datafiles; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
