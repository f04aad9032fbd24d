import numpy as np
import pytest
import torch

from gentoolkit.errors import GentoolError, UsageError
from gentoolkit.evaluation import ALL, choose_groups, group_by_class
from gentoolkit.protocols import Batch


class Labeled:
    """Sample i is the number i, labeled by `labels[i]`; remembers how far it was read."""

    def __init__(self, labels):
        self.labels, self.read = torch.tensor(labels), 0

    def __len__(self):
        return len(self.labels)

    def batch(self, indices):
        self.read = max(self.read, indices.max() + 1)
        return Batch(torch.from_numpy(indices).float()[:, None], self.labels[indices])


def test_the_first_samples_of_each_class_are_found_in_any_order_of_labels():
    dataset = Labeled([2, 0, 0, 1, 0, 1, 2, 2, 1, 0])
    groups = group_by_class(dataset, 2, classes=[1, 0, 2], chunk=3)
    assert {name: indices.tolist() for name, indices in groups.items()} == {"1": [3, 5], "0": [1, 2], "2": [0, 6]}
    assert list(groups) == ["1", "0", "2"]
    assert all(indices.dtype == np.int64 for indices in groups.values())


def test_reading_stops_when_enough_is_found():
    dataset = Labeled([0, 1] * 50)
    group_by_class(dataset, 3, classes=[0, 1], chunk=4)
    assert dataset.read == 8


def test_data_without_classes_is_one_group():
    assert group_by_class(Labeled([0] * 5), 3)[ALL].tolist() == [0, 1, 2]
    assert group_by_class(Labeled([0] * 5), 6)[ALL].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(UsageError, match=r"some\.setting needs 6 held-out samples, but there are 5; lower it"):
        group_by_class(Labeled([0] * 5), 6, setting="some.setting")


def test_too_few_of_a_class_are_counted():
    data = Labeled([0, 1, 0, 1, 0, 2, 2, 2])
    with pytest.raises(
        UsageError, match="needs 3 held-out samples of each class, but there are 2 of class 1, 0 of class 7;"
    ):
        group_by_class(data, 3, classes=[0, 1, 2, 7], setting="some.setting")
    rows = group_by_class(data, 3, classes=[0, 1, 2, 7])
    assert {name: found.tolist() for name, found in rows.items()} == {"0": [0, 2, 4], "1": [1, 3], "2": [5, 6, 7]}


def test_data_without_labels_can_not_be_grouped_by_label():
    dataset = Labeled([0, 1])
    for condition in (None, torch.zeros(2, 3)):
        dataset.batch = lambda indices, c=condition: Batch(torch.zeros(2, 1), c)
        with pytest.raises(GentoolError, match="no class labels"):
            group_by_class(dataset, 1, classes=[0])


def chosen(labels, per_class, samples=None, classes=range(3), **fields):
    data = Labeled(labels)
    return data, choose_groups(data, per_class, samples, classes, seed=0, **fields)


def labels_of(data, rows):
    return data.labels[torch.from_numpy(rows)].tolist()


@pytest.mark.parametrize("labels", [[0, 1, 2] * 40, [0] * 40 + [1] * 40 + [2] * 40], ids=["mixed", "sorted"])
def test_equally_frequent_classes_are_pooled_without_any_sample_more(labels):
    data, groups = chosen(labels, 10)
    assert labels_of(data, groups.real) == labels_of(data, groups.floor) == [0] * 10 + [1] * 10 + [2] * 10
    assert not set(groups.real) & set(groups.floor)
    assert {name: rows.tolist() for name, rows in groups.per_class.items()} == {
        "0": list(range(10)),
        "1": list(range(10, 20)),
        "2": list(range(20, 30)),
    }
    assert [rows.tolist() for rows in groups.pooled] == [rows.tolist() for rows in groups.per_class.values()]
    assert not groups.left_out


def test_pooled_samples_have_the_proportions_of_the_data_and_a_rare_class_is_left_out_of_the_rest():
    data, groups = chosen([0] * 150 + [1] * 44 + [2] * 6, 5, 50)
    assert [labels_of(data, groups.real[rows]) for rows in groups.pooled] == [[0] * 38, [1] * 11, [2] * 2]
    assert labels_of(data, groups.floor) == labels_of(data, groups.real)
    assert len(set(groups.real) | set(groups.floor)) == 2 * len(groups.real) == 2 * (38 + 11 + 2)
    assert {name: labels_of(data, groups.real[rows]) for name, rows in groups.per_class.items()} == {
        "0": [0] * 5,
        "1": [1] * 5,
    }
    assert groups.left_out == {"2": 6}


def test_by_default_a_rare_class_does_not_limit_the_pooled_samples():
    _, groups = chosen([0] * 480 + [1] * 480 + [2] * 4, 100)
    assert sum(map(len, groups.pooled)) == pytest.approx(300, abs=2)
    assert groups.left_out == {"2": 4}


def test_data_without_labels_is_pooled():
    _, groups = chosen([0] * 9, 4, None, None)
    assert (groups.real.tolist(), groups.floor.tolist()) == ([0, 1, 2, 3], [4, 5, 6, 7])
    assert [rows.tolist() for rows in groups.pooled] == [[0, 1, 2, 3]]
    assert not groups.per_class
    assert len(chosen([0] * 9, 40, 3, None)[1].real) == 3


def test_fewer_samples_are_taken_if_that_is_allowed_and_only_then():
    fewer = {"allow_fewer": True}
    assert len(chosen([0] * 9, 40, None, None, **fewer)[1].real) == 4
    assert len(chosen([0] * 9, 3, None, None, **fewer)[1].real) == 3
    assert len(chosen([0] * 9, 3, 40, None, **fewer)[1].real) == 4
    _, groups = chosen([0, 1, 2] * 10, 40, 500, **fewer)
    assert [len(rows) for rows in groups.pooled] == [5, 5, 5]
    assert not groups.per_class
    assert groups.left_out == {"0": 10, "1": 10, "2": 10}
    with pytest.raises(UsageError, match=r"evaluate\.samples needs 4 held-out samples, but there are 1"):
        chosen([0], 40, None, None, **fewer)


@pytest.mark.parametrize(
    ("labels", "per_class", "samples", "classes", "words"),
    [
        ([0] * 9, 5, None, None, r"evaluate\.per_class needs 10 held-out samples, but there are 9; lower it"),
        ([0] * 9, 4, 5, None, r"evaluate\.samples needs 10 held-out samples, but there are 9; lower it"),
        ([0, 1, 2] * 3, 2, 5, range(3), r"evaluate\.samples needs 10 held-out samples, but there are 9"),
        (
            [0, 1] * 3,
            2,
            None,
            range(2),
            r"evaluate\.per_class needs 4 .* of a class, but there are 3 of class 0, 3 of class 1",
        ),
        (list(range(50)), 2, 2, range(50), r"evaluate\.samples is 2, which leaves fewer than two samples"),
    ],
)
def test_what_can_not_be_had_is_told(labels, per_class, samples, classes, words):
    with pytest.raises(UsageError, match=words):
        chosen(labels, per_class, samples, classes)
