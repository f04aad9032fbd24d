"""`gentool data`: what it says of data that is known."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

RECIPES = Path(__file__).parents[2] / "recipes"
SMOKE, POINTS = RECIPES / "smoke.yaml", RECIPES / "moons_ot.yaml"

#: A package with a dataset: 2,500 training samples (0, i) of which some repeat, and four held-out ones.
PLUGIN = """
import numpy as np
import torch
from gentoolkit.api import Array, Component, DatasetConfig, DataSpec, Labels, UsageError, hookimpl
from gentoolkit.protocols import Batch

class KnownConfig(DatasetConfig):
    fault: str = ""
    vectors: bool = False
    def spec(self):
        return DataSpec((2,), Array((3,)) if self.vectors else Labels(3))

class Known:
    def __init__(self, config, split, seed):
        if config.fault == "usage":
            raise UsageError("there is no such folder", kind="dataset")
        self.config, self.split = config, split
        second = np.arange(2500.0) if split == "train" else np.array([2499.0, 2499.0, -1.0, np.nan])
        if split == "train":
            second[2000:2003] = second[7]
        if config.fault == "empty":
            second = second[:0]
        if config.fault == "nan":
            second = second + np.nan
        self.x1 = np.stack([0 * second, second], 1).astype(np.float32)
    def __len__(self):
        return len(self.x1)
    def batch(self, indices):
        if self.config.fault == "dtype":
            return Batch(torch.from_numpy(self.x1[indices]).double(), torch.zeros(len(indices), dtype=torch.int64))
        condition = torch.from_numpy(np.where(indices < 10, 0, 2))
        if self.config.vectors:
            condition = torch.from_numpy(indices).float()[:, None].expand(-1, 3)
        return Batch(torch.from_numpy(self.x1[indices]), condition)

@hookimpl
def gentoolkit_components():
    yield Component("known", KnownConfig, f"{__name__}:Known")
"""


@pytest.fixture
def known(tmp_path, monkeypatch):
    """Return the override of a recipe that chooses the dataset of the package."""
    info = tmp_path / "site" / "known_data-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: known-data\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gentoolkit.plugins.v2]\nknown = known_data\n")
    (tmp_path / "site" / "known_data.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield lambda **fields: f"dataset={json.dumps({'type': 'known-data/known', **fields})}"
    sys.modules.pop("known_data", None)


def read(gentool, *arguments):
    code, out, err = gentool("data", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_counts_values_and_repeats_of_known_data(gentool, known):
    found = read(gentool, POINTS, "backbone=mlp", known())
    train, held_out = found["splits"]["train"], found["splits"]["held_out"]
    assert (train["samples"], train["read"], held_out["samples"]) == (2500, 2500, 4)
    assert train["classes"] == {"0": 10, "1": 0, "2": 2490}
    assert (train["repeated"], held_out["repeated"]) == (3, 1)
    assert found["shared"] == 2
    second = np.arange(2500.0)
    second[2000:2003] = 7
    values = np.concatenate([second, 0 * second])
    assert train["values"] == {
        "x1": {
            "min": 0.0,
            "max": 2499.0,
            "mean": pytest.approx(values.mean(), rel=1e-12),
            "std": pytest.approx(values.std(), rel=1e-12),
            "count": 5000,
            "not_finite": 0,
        }
    }
    x1 = held_out["values"]["x1"]
    assert (x1["min"], x1["max"], x1["count"], x1["not_finite"]) == (-1.0, 2499.0, 6, 2)  # 0 · nan is nan too
    assert found["batch_size"] == 256
    assert found["batch_ms"] > 0


def test_arrays_as_conditions_have_their_values_too(gentool, known):
    train = read(gentool, POINTS, known(vectors=True))["splits"]["train"]
    assert train["classes"] == {}
    condition = train["values"]["condition"]
    assert (condition["max"], condition["count"], condition["mean"]) == (2499.0, 7500, pytest.approx(1249.5))


def test_of_large_data_samples_are_read_evenly_and_the_batch_is_that_of_the_recipe(gentool, known):
    found = read(gentool, POINTS, known(), "train.batch_size=3000", "--samples", 3)
    train = found["splits"]["train"]
    assert (train["samples"], train["read"]) == (2500, 3)
    assert train["classes"] == {"0": 1, "1": 0, "2": 2}
    assert train["values"]["x1"]["mean"] == pytest.approx((0 + 1250 + 2499) / 6, abs=0.2)  # the middle may be rounded
    assert found["batch_size"] == 2500


def test_of_endless_data_no_more_is_read(gentool):
    found = read(gentool, SMOKE, "dataset.num_samples=1000000000000", "--samples", 8)
    assert found["splits"]["train"]["samples"] == 10**12
    assert sum(found["splits"]["train"]["classes"].values()) == 8


def test_classes_are_named_if_they_have_names(gentool):
    _, out, _ = gentool("data", RECIPES / "table.yaml")
    assert "class 0 (left)" in out
    assert "class 1 (right)" in out


def test_the_text_has_a_column_for_each_split(gentool, known):
    code, out, _ = gentool("data", POINTS, known(), "--samples", 1000)
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:3] == ["dataset", "known-data/known:", "samples"]
    assert ["train", "held_out"] in lines
    assert ["samples", "2500", "4"] in lines
    assert ["read,", "evenly", "spread", "1000"] in lines
    assert [line for line in lines if line[:1] == ["class"]] == [
        ["class", "0", "4", "4"],
        ["class", "1", "0", "0"],
        ["class", "2", "996", "0"],
    ]
    assert "2 not finite" in out
    assert "held-out samples that are also training samples, of those read: 2" in out
    assert "a batch of 256 takes" in out


@pytest.mark.parametrize(("recipe", "overrides"), [(SMOKE, []), (POINTS, []), (POINTS, ["dataset.labels=true"])])
def test_the_picture_is_written_once(gentool, tmp_path, recipe, overrides):
    file = tmp_path / "sheet.png"
    arguments = (recipe, *overrides, "--samples", 50, "--picture", file)
    assert read(gentool, *arguments)["picture"] == str(file)
    with Image.open(file) as picture:
        assert min(picture.size) > 200
    before = file.read_bytes()
    code, out, err = gentool("data", *arguments)
    assert (code, out) == (2, "")
    assert "exists and is not overwritten; choose another --picture" in err
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--picture", "a.jpg"], "--picture must end in .png"),
        (["--picture", "nowhere/a.png"], "there is no folder 'nowhere'"),
        (["dataset.num_smples=3"], "did you mean 'num_samples'?"),
        (["--samples", "0"], "0 is not in the range"),
    ],
)
def test_bad_arguments_are_reported_without_a_traceback(gentool, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = gentool("data", SMOKE, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("usage", 2, "there is no such folder"),
        ("dtype", 1, "x1 is (1024, 2) torch.float64, expected (1024, 2) torch.float32"),
    ],
)
def test_faults_of_the_data_name_the_dataset(gentool, known, fault, code, words):
    got, out, err = gentool("data", POINTS, known(fault=fault))
    assert (got, out) == (code, "")
    assert words in err
    assert "known-data/known" in err
    assert "Traceback" not in err


def test_empty_data_has_no_values(gentool, known, tmp_path):
    found = read(gentool, POINTS, known(fault="empty"))
    assert found["splits"]["train"]["samples"] == found["splits"]["held_out"]["samples"] == 0
    assert (found["batch_size"], found["batch_ms"]) == (0, None)
    code, _, err = gentool("data", POINTS, known(fault="empty"), "--picture", tmp_path / "a.png")
    assert code == 2
    assert "there are no training samples; leave out --picture" in err


def test_data_without_any_number_has_no_range(gentool, known):
    code, out, _ = gentool("data", POINTS, known(fault="nan"))
    assert code == 0
    assert ["x1", "5000", "not", "finite", "8", "not", "finite"] in [line.split() for line in out.splitlines()]


def test_statistics_are_those_of_all_parts_and_only_of_numbers():
    import torch

    from gentoolkit.pipeline.inspection import Values

    x = 1e6 + torch.randn(1000, generator=torch.Generator().manual_seed(0))
    values = Values()
    for part in (x[:0], x[:1], x[1:400], torch.tensor([math.inf, math.nan]), x[400:]):
        values.add(part)
    assert (values.count, values.not_finite) == (1000, 2)
    assert values.mean == pytest.approx(x.double().mean().item(), rel=1e-14)
    assert values.std == pytest.approx(x.double().std(correction=0).item(), rel=1e-9)


def test_of_many_classes_only_those_that_are_drawn_are_kept():
    import torch

    from gentoolkit.api import DataSpec, Labels
    from gentoolkit.pipeline.inspection import _Shown
    from gentoolkit.protocols import Batch

    shown = _Shown(DataSpec((1, 2, 2), Labels(1000)))
    for labels in (torch.arange(999, 99, -1), torch.arange(200).repeat(40)):
        shown.add(Batch(torch.zeros(len(labels), 1, 2, 2), labels))
    assert {name: len(x) for name, x in shown.named().items()} == {str(k): 32 for k in range(10)}
