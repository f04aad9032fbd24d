import json
import math

import numpy as np
import pytest
import torch

from gentoolkit.errors import GentoolError, UsageError
from gentoolkit.evaluation import ALL, Comparison, MetricResult, evaluate, group_by_class, real_halves
from gentoolkit.protocols import Batch


class Labelled:
    """Sample i is the number i, labelled by `labels[i]`; remembers how far it was read."""

    def __init__(self, labels):
        self.labels, self.read = torch.tensor(labels), 0

    def __len__(self):
        return len(self.labels)

    def batch(self, indices):
        self.read = max(self.read, indices.max() + 1)
        return Batch(torch.from_numpy(indices).float()[:, None], self.labels[indices])


class MeanGap:
    """Mean of the other set minus that of the real one; refuses single samples."""

    optimum = 0.0

    def update(self, real, other):
        if len(real) < 2:
            raise ValueError("needs at least 2 samples")
        self.gap = (other.mean() - real.mean()).item()

    def compute(self):
        return self.gap


def test_the_first_samples_of_each_class_are_found_in_any_order_of_labels():
    dataset = Labelled([2, 0, 0, 1, 0, 1, 2, 2, 1, 0])
    groups = group_by_class(dataset, 2, classes=[1, 0, 2], chunk=3)
    assert {name: indices.tolist() for name, indices in groups.items()} == {"1": [3, 5], "0": [1, 2], "2": [0, 6]}
    assert list(groups) == ["1", "0", "2"]
    assert all(indices.dtype == np.int64 for indices in groups.values())


def test_reading_stops_when_enough_is_found():
    dataset = Labelled([0, 1] * 50)
    group_by_class(dataset, 3, classes=[0, 1], chunk=4)
    assert dataset.read == 8


def test_data_without_classes_is_one_group():
    assert group_by_class(Labelled([0] * 5), 3)[ALL].tolist() == [0, 1, 2]
    assert group_by_class(Labelled([0] * 5), 6)[ALL].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(UsageError, match=r"some\.setting needs 6 held-out samples, there are 5; lower it"):
        group_by_class(Labelled([0] * 5), 6, setting="some.setting")


def test_too_few_of_a_class_are_counted():
    data = Labelled([0, 1, 0, 1, 0, 2, 2, 2])
    with pytest.raises(
        UsageError, match="needs 3 held-out samples of each class, there are 2 of class 1, 0 of class 7;"
    ):
        group_by_class(data, 3, classes=[0, 1, 2, 7], setting="some.setting")
    rows = group_by_class(data, 3, classes=[0, 1, 2, 7])
    assert {name: found.tolist() for name, found in rows.items()} == {"0": [0, 2, 4], "1": [1, 3], "2": [5, 6, 7]}


def test_data_without_labels_can_not_be_grouped_by_label():
    dataset = Labelled([0, 1])
    for condition in (None, torch.zeros(2, 3)):
        dataset.batch = lambda indices, c=condition: Batch(torch.zeros(2, 1), c)
        with pytest.raises(GentoolError, match="no class labels"):
            group_by_class(dataset, 1, classes=[0])


def test_halves_are_disjoint_and_equally_large():
    groups = {"a": np.array([4, 1, 3, 0]), "b": np.array([2, 5, 7])}
    real, reference = real_halves(Labelled([0] * 8), groups)
    assert {name: half.flatten().tolist() for name, half in real.items()} == {"a": [4, 1], "b": [2]}
    assert {name: half.flatten().tolist() for name, half in reference.items()} == {"a": [3, 0], "b": [5]}


def test_each_class_gets_its_own_value_and_floor():
    real = {"0": torch.zeros(2, 3), "1": torch.ones(2, 3)}
    generated = {"0": torch.full((2, 3), 5.0), "1": torch.full((2, 3), 4.0)}
    reference = {"0": torch.full((2, 3), 0.5), "1": torch.full((2, 3), 1.25)}
    (result,) = evaluate({"gap": MeanGap}, real, generated, reference)
    assert result == MetricResult("gap", 0.0, {"0": Comparison(5.0, 0.5), "1": Comparison(3.0, 0.25)})
    assert (result.value, result.floor) == (4.0, 0.375)
    assert result.to_dict() == {
        "name": "gap",
        "optimum": 0.0,
        "value": 4.0,
        "floor": 0.375,
        "exact": None,
        "per_class": {
            "0": {"value": 5.0, "floor": 0.5, "exact": None},
            "1": {"value": 3.0, "floor": 0.25, "exact": None},
        },
    }


def test_the_exact_field_is_measured_against_the_same_real_samples():
    real = {"0": torch.zeros(2, 3), "1": torch.ones(2, 3)}
    exact = {"0": torch.full((2, 3), 0.25), "1": torch.full((2, 3), 1.5)}
    (result,) = evaluate({"gap": MeanGap}, real, real, real, exact)
    assert result == MetricResult("gap", 0.0, {"0": Comparison(0.0, 0.0, 0.25), "1": Comparison(0.0, 0.0, 0.5)})
    assert result.exact == 0.375
    assert result.to_dict()["exact"] == 0.375
    assert result.to_dict()["per_class"]["1"] == {"value": 0.0, "floor": 0.0, "exact": 0.5}


def test_results_keep_the_order_of_the_metrics():
    sets = {"0": torch.zeros(2, 1)}
    assert [r.name for r in evaluate({"b": MeanGap, "a": MeanGap}, sets, sets, sets)] == ["b", "a"]


def test_a_number_that_is_not_finite_is_still_json():
    result = MetricResult("gap", 0.0, {"0": Comparison(math.nan, 1.0), "1": Comparison(1.0, math.inf)})
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert json.loads(text)["per_class"] == {
        "0": {"value": None, "floor": 1.0, "exact": None},
        "1": {"value": 1.0, "floor": None, "exact": None},
    }
    assert (json.loads(text)["value"], json.loads(text)["floor"]) == (None, None)


@pytest.mark.parametrize(
    ("generated", "reference"),
    [({"0": 3}, {"0": 2}), ({"0": 2}, {"0": 1}), ({"1": 2}, {"0": 2}), ({"0": 2, "1": 2}, {"0": 2})],
)
def test_values_and_floors_from_unequal_sets_are_refused(generated, reference):
    sets = [{name: torch.zeros(n, 1) for name, n in side.items()} for side in ({"0": 2}, generated, reference)]
    with pytest.raises(GentoolError, match="equally many samples of each class; got real"):
        evaluate({"gap": MeanGap}, *sets)


def test_an_exact_field_drawn_another_number_of_times_is_refused():
    sets = {"0": torch.zeros(2, 1)}
    with pytest.raises(GentoolError, match=r"exact \{'0': 3\}"):
        evaluate({"gap": MeanGap}, sets, sets, sets, {"0": torch.zeros(3, 1)})


def test_a_metric_that_refuses_is_named_with_the_class():
    sets = {"0": torch.zeros(2, 1), "3": torch.zeros(1, 1)}
    with pytest.raises(GentoolError, match="metric 'gap', class 3: needs at least 2 samples"):
        evaluate({"gap": MeanGap}, sets, sets, sets)
