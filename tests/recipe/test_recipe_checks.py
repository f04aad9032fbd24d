import pytest
from fake_parts import parsed, problems, text_of


def test_a_part_that_does_not_fit_the_data_is_told_at_the_field_to_blame():
    assert problems(backbone="backbone: {type: net, depth: 2, patch: 3}") == [
        "r.yaml:5:40: backbone.patch: patch 3 does not divide 8"
    ]


def test_a_default_that_does_not_fit_is_told_at_the_section():
    assert problems(dataset="dataset: {type: blobs, size: 9}") == [
        "r.yaml:5:11: backbone.patch: patch 2 does not divide 9"
    ]


def test_all_that_a_part_says_is_told():
    assert problems(backbone="backbone: {type: net, depth: 2, patch: 3, head: {width: 101}}") == [
        "r.yaml:5:40: backbone.patch: patch 3 does not divide 8",
        "r.yaml:5:57: backbone.head.width: too wide for the data",
        "r.yaml:5:57: backbone.head.width: and too wide for the machine",
    ]


@pytest.mark.parametrize(("dropout", "droppable"), [("", False), (", condition_dropout: 0.1", True)])
def test_parts_are_checked_against_droppable_conditions_where_training_drops_them(dropout, droppable):
    assert problems(backbone="backbone: {type: net, depth: 50}", train=f"train: {{epochs: 5{dropout}}}") == [
        f"r.yaml:5:11: backbone: too deep for droppable={droppable}"
    ]


def test_a_check_or_a_spec_that_raises_is_no_crash():
    assert problems(backbone="backbone: {type: net, depth: 99}") == [
        "r.yaml:5:11: backbone: check() of 'net' raised RuntimeError: check is broken; this is a bug in gentoolkit"
    ]
    assert problems(dataset="dataset: {type: blobs, size: 666}") == [
        "r.yaml:4:10: dataset: spec() of 'blobs' raised RuntimeError: no such size; this is a bug in gentoolkit"
    ]
    (problem,) = problems(dataset="dataset: {type: blobs, size: 667}")
    assert "TypeError: it returned 'a spec'; expected a DataSpec" in problem


def test_a_metric_or_an_observer_may_come_twice_only_with_another_config():
    two = "metrics: [{type: distance}, {type: distance, num_projections: 8}]"
    assert len(parsed(text_of(metrics=two)).metrics) == 2
    same = "metrics: [{type: distance}, {type: distance, num_projections: 64}]"
    assert problems(metrics=same) == [
        "r.yaml:8:29: metrics.1: duplicate of metrics.0; expected a different config; otherwise remove it"
    ]
    assert len(parsed(text_of(metrics="observers: [quiet, {type: quiet, every: 2}]")).observers) == 2
    (problem,) = problems(metrics="observers: [quiet, {type: quiet, every: 1}]")
    assert problem.startswith("r.yaml:8:20: observers.1: duplicate of observers.0; ")


def test_classes_must_exist():
    assert parsed(text_of(sample="sample: {classes: [0, 2]}")).sample.classes == (0, 2)
    assert problems(sample="sample: {classes: [0, 3, 2, 9]}") == [
        "r.yaml:10:23: sample.classes.1: class 3 does not exist; expected 0 to 2",
        "r.yaml:10:29: sample.classes.3: class 9 does not exist; expected 0 to 2",
    ]


@pytest.mark.parametrize("condition", ["none", "vectors"])
def test_data_without_classes_has_none_to_choose(condition):
    dataset = f"dataset: {{type: blobs, condition: {condition}}}"
    assert problems(dataset=dataset, sample="sample: {classes: [0]}") == [
        "r.yaml:10:19: sample.classes: the data has no classes; expected null, or remove it"
    ]


def test_unconditional_data_has_no_condition_to_drop():
    found = problems(
        dataset="dataset: {type: blobs, condition: none}", train="train: {epochs: 5, condition_dropout: 0.5}"
    )
    assert found == ["r.yaml:9:39: train.condition_dropout: got 0.5, but the data has no condition to drop; expected 0"]
