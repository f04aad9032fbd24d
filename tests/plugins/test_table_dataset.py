"""Points from a CSV file: which cells become what, and what is told of files that can't be used."""

import math
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from building import built
from gentoolkit.api import Array, Labels
from gentoolkit.errors import RecipeError
from gentoolkit.recipe import load_recipe

RECIPE = Path("recipes/table.yaml")


def written(folder, text, encoding="utf-8"):
    (folder / "t.csv").write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return str(folder / "t.csv")


def table(file, split="train", **fields):
    return built("dataset", "table", {"split": split, "seed": 0}, file=file, held_out=0.3, **fields)


def everything(dataset):
    return dataset.batch(np.arange(len(dataset)))


def both(file, **fields):
    """Return all points, and all labels or conditions, of both splits."""
    parts = [everything(table(file, split, **fields)) for split in ("train", "held_out")]
    conditions = [part.condition for part in parts]
    return torch.cat([part.x1 for part in parts]), None if None in conditions else torch.cat(conditions)


@pytest.fixture
def flowers(tmp_path):
    """A table of 40 rows: width is i / 4 and height i / 2; the weight is -i; the species cycles through three."""
    rows = [f"{i / 4},{i / 2},{('rosa', 'bellis', 'viola')[i % 3]},{-i}" for i in range(40)]
    return written(tmp_path, "\n".join(["width,height,species,weight", *rows]))


def test_all_columns_but_the_label_make_a_point_and_the_classes_are_sorted(flowers):
    points, labels = both(flowers, label="species")
    assert table(flowers, label="species").points.dtype == torch.float32
    i = points[:, 0] * 4
    assert i.sort().values.tolist() == list(range(40))
    assert torch.equal(points, torch.stack([i / 4, i / 2, -i], dim=1))
    assert labels.tolist() == [(1, 0, 2)[int(row) % 3] for row in i]  # bellis, rosa, viola


def test_columns_may_be_chosen_and_others_be_the_condition(flowers):
    points, conditions = both(flowers, columns=("height",), conditions=("weight", "width"))
    assert torch.equal(conditions, torch.cat([-2 * points, points / 2], dim=1))
    assert both(flowers, columns=("weight",))[1] is None


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    rows = [f"{i},{('10', '9', '-1.5')[i % 3]}" for i in range(30)]
    points, labels = both(written(tmp_path, "\n".join(["x,kind", *rows])), label="kind")
    assert labels.tolist() == [(2, 1, 0)[int(x) % 3] for x in points[:, 0]]


def test_the_spec_follows_the_file(flowers):
    def spec(**fields):
        overrides = [f"dataset.{name}={value}" for name, value in {"file": flowers, "label": "null", **fields}.items()]
        return load_recipe(RECIPE, overrides).data_spec

    assert spec(label="species").condition == Labels(3)
    assert spec(columns="[width, height]", conditions="[weight]").condition == Array((1,))
    assert spec(columns="[width, height]").condition is None
    assert spec(columns="[width, height]").shape == (2,)


def test_a_point_stays_in_its_split_when_rows_are_added_moved_or_repeated(tmp_path):
    rows = [f"{i},{i * i}" for i in range(100)]
    before = {split: everything(table(written(tmp_path, "\n".join(["x,y", *rows])), split)).x1 for split in SPLITS}
    more = [*(f"{-i}.5,0" for i in range(50)), *reversed(rows), *rows[:7]]
    after = {split: everything(table(written(tmp_path, "\n".join(["x,y", *more])), split)).x1 for split in SPLITS}
    for split in SPLITS:
        kept = set(map(tuple, after[split].tolist()))
        assert set(map(tuple, before[split].tolist())) <= kept
        assert not kept & set(map(tuple, before["train" if split == "held_out" else "held_out"].tolist()))


SPLITS = ("train", "held_out")


def test_minus_zero_is_zero(tmp_path):
    points, _ = both(written(tmp_path, "x\n" + "0\n-0.0\n" * 2 + "".join(f"{i}\n" for i in range(1, 9))))
    assert not torch.signbit(points).any()


def test_a_table_that_changed_is_read_again(tmp_path):
    few, more = ("x\n" + "".join(f"{i}\n" for i in range(count)) for count in (20, 30))
    assert len(both(written(tmp_path, few))[0]) == 20
    assert len(both(written(tmp_path, more))[0]) == 30


#: What a file or the fields of the config are, and what is told of it.
WRONG = {
    "empty": (b"", {}, "is empty; expected a line with the names of the columns"),
    "only names": (b"x,y\n", {}, "0 of the 0 rows are held out with held_out 0.2, so a split is empty"),
    "one row": (b"x,y\n1,2\n", {}, "of the 1 rows are held out with held_out 0.2, so a split is empty"),
    "no names": (b"1,2\n3,4\n", {}, "line 1 has numbers; expected a line with the names of the columns"),
    "repeated name": (b"x,x\n1,2\n", {}, "column name 'x' in line 1 is repeated"),
    "name left out": (b"x,\n1,2\n", {}, "column name '' in line 1 is empty"),
    "short row": (b"x,y\n1,2\n3\n", {}, "line 3 has 1 cells; expected 2"),
    "long row": (b"x,y\n1,2,3\n", {}, "line 2 has 3 cells; expected 2"),
    "empty cell": (
        b"x,y\n1,2\n,4\n",
        {},
        "cells that can't be used: 1; correct them or remove their rows; line 3, colu",
    ),
    "text": (b"x,y\n1,two\n1,2\n", {}, "line 2, column 'y': 'two' is not a number"),
    "column of text": (b"x,y\n1,red\n2,\n", {}, "column 'y' has no numbers: 'red' is not a number; set columns to"),
    "decimal comma": (b'x,y\n1,"2,5"\n', {}, "column 'y' has no numbers: '2,5' is not a number;"),
    "not a number": (b"x,y\nnan,1\n2,1\n", {}, "line 2, column 'x': 'nan' is not a number"),
    "infinite": (b"x,y\n-inf,1\n2,1\n", {}, "line 2, column 'x': '-inf' is not a number"),
    "too large": (b"x,y\n1e39,1\n2,1\n", {}, "line 2, column 'x': '1e39' is not a number"),
    "many faults": (b"x\n1\n" + b"?\n" * 12, {}, "cells that can't be used: 12;"),
    "semicolons": (b"x;y\n1;2\n", {"label": "y"}, "has no column 'y'; its columns are x;y"),
    "UTF-16": ("x,y\n1,2\n".encode("utf-16"), {}, "is not UTF-8 text: byte 0xff"),
    "binary": (b"PK\x03\x04\x00\x00", {}, "is not text; expected a CSV file"),
    "open quote": (b'x,y\n1,"2\n', {}, "line 2 is not CSV: "),
    "no such label": (
        b"x,kind\n1,2\n",
        {"label": "knd"},
        "has no column 'knd'; its columns are x, kind; did you mean 'k",
    ),
    "empty label": (b"x,kind\n1,a\n2,\n", {"label": "kind"}, "line 3, column 'kind': is empty"),
    "nothing left": (b"kind\na\n", {"label": "kind"}, "no columns are left for the points"),
    "label twice": (b"x,y\n1,2\n", {"label": "x", "columns": "[x]"}, "column 'x' is named twice"),
    "label and conditions": (b"x,y,z\n1,2,3\n", {"label": "x", "conditions": "[y]"}, "set either label or conditions"),
    "separator": (b"x,y\n1,2\n", {"separator": "'\"'"}, "separator can't be a quotation mark or the end of a line"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_told_in_a_sentence_before_anything_starts(tmp_path, wrong):
    content, fields, expected = WRONG[wrong]
    settings = {"file": written(tmp_path, content), "label": "null", **fields}
    with pytest.raises(RecipeError) as error:
        load_recipe(RECIPE, [f"dataset.{name}={value}" for name, value in settings.items()])
    (problem,) = error.value.problems
    assert expected in problem
    assert "\n" not in problem
    assert "bug" not in problem


def test_the_spirals_follow_their_formula():
    points, labels = both("recipes/spirals.csv", label="arm")
    draw, expected = Random(0).random, set()
    for i in range(1000):
        root = math.sqrt(draw())  # of the share of the arm's points that are further inside
        angle, radius = 3 * math.pi * root + math.pi * (i % 2), 0.4 + 2.2 * root + 0.3 * (draw() - 0.5)
        expected.add((f"{radius * math.cos(angle):.4f}", f"{radius * math.sin(angle):.4f}"))
    assert {(f"{x:.4f}", f"{y:.4f}") for x, y in points.tolist()} == expected
    assert labels.bincount().tolist() == [500, 500]
