"""Codec, source and coupling in a recipe: their specs, and what does not fit."""

import pytest
from fake_parts import parsed, problems, text_of

from gentoolkit.api import DataSpec, Labels


def test_the_defaults_are_gaussian_and_independent():
    resolved = parsed(text_of()).resolved()
    assert (resolved["codec"], resolved["source"], resolved["coupling"]) == (
        None,
        {"type": "gaussian"},
        {"type": "independent"},
    )


def test_what_is_modeled_has_the_spec_of_the_codec_and_the_condition_of_the_data():
    recipe = parsed(text_of(codec="codec: halved"), "train.condition_dropout=0.1")
    assert recipe.data_spec == DataSpec((1, 8, 8), Labels(3, droppable=True))
    assert recipe.spec == DataSpec((1, 4, 4), Labels(3, droppable=True))
    assert parsed(text_of()).spec == DataSpec((1, 8, 8), Labels(3))


def test_the_backbone_is_checked_against_what_is_modeled():
    lines = {"dataset": "dataset: {type: blobs, size: 12}", "backbone": "backbone: {type: net, depth: 2, patch: 4}"}
    assert problems(**lines) == []
    assert problems(codec="codec: halved", **lines) == ["r.yaml:5:40: backbone.patch: patch 4 does not divide 6"]


def test_a_faulty_codec_is_told_alone():
    (problem,) = problems(
        codec="codec: {type: halved, factor: 5}", backbone="backbone: {type: net, depth: 2, patch: 3}"
    )
    assert problem == "r.yaml:11:31: codec.factor: factor 5 does not divide 8"
    (problem,) = problems(codec="codec: {type: halved, factor: 13}", dataset="dataset: {type: blobs, size: 13}")
    assert problem.startswith(
        "r.yaml:11:8: codec: spec() of 'halved' raised RuntimeError: no such factor; this is a bug"
    )
    assert problems(codec="codec: {type: halved, factor: 0}", backbone="backbone: {type: net, depth: 2, patch: 3}") == [
        "r.yaml:11:31: codec.factor: got 0; expected a number greater than or equal to 1"
    ]


def test_a_source_must_have_the_shape_of_what_is_modeled():
    source = "source: {type: dataset, dataset: {type: blobs, size: 4}}"
    assert problems(source=source, codec="codec: halved") == []
    assert problems(source=source) == ["r.yaml:11:34: source.dataset: x0 needs (1, 8, 8)"]


@pytest.mark.parametrize("line", ["source: {type: dataset, dataset: blobs}", "coupling: sorted"])
def test_data_in_pairs_has_no_other_source_or_coupling(line):
    name, kind = line.split(":")[0], "dataset" if "dataset" in line else "sorted"
    paired = "dataset: {type: blobs, paired: true}"
    assert problems(dataset=paired) == []
    (problem,) = problems(dataset=paired, **{name: line})
    assert problem.startswith(f"r.yaml:11:{len(name) + 3}: {name}: got {kind!r}, but the data comes in pairs (x0, x1)")
    assert parsed(parsed(text_of(dataset=paired)).text).spec.paired
