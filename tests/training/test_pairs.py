"""The pairs of training: keyed by step and row, and coupled over the global batch."""

import numpy as np
import pytest
import torch

from building import built, train_settings
from gentoolkit.api import DataSpec, Labels
from gentoolkit.errors import PluginError
from gentoolkit.protocols import Batch
from gentoolkit.randomness import AHEAD, normal_rows
from gentoolkit.registry import build
from gentoolkit.training import Pairs, Plan, coupled

CPU = torch.device("cpu")


class Points:
    """Sample i is i times a vector of ones, with label i mod 3."""

    def __init__(self, dims=2, paired=False):
        self.dims, self.paired, self.reads = dims, paired, []

    def __len__(self):
        return 24

    def batch(self, indices):
        self.reads.append(len(indices))
        i = torch.from_numpy(indices)
        x1 = i[:, None].float().repeat(1, self.dims)
        return Batch(x1, i % 3, -x1 if self.paired else None)


class Backwards:
    """Pairs the largest x0 with the smallest x1, and keeps what it received."""

    def __init__(self):
        self.seen = []

    def couple(self, x0, x1, condition):
        self.seen.append((x0, x1, condition))
        rows = torch.empty(len(x1), dtype=torch.int64)
        rows[x1[:, 0].argsort()] = x0[:, 0].argsort(descending=True)
        return rows


def pairs_of(accumulation=1, coupling=None, dims=2, paired=False, steps=3, batch_size=6):
    settings = train_settings(steps=steps, batch_size=batch_size, accumulation=accumulation)
    spec = DataSpec((dims,), Labels(3), paired=paired)
    data = Points(dims, paired)
    pairs = Pairs(data, spec, built("source", "gaussian", {"spec": spec}), coupling)
    return pairs, Plan(settings, len(data), 7, build(settings.schedule))


def whole(step=0, **arguments):
    pairs, plan = pairs_of(**arguments)
    parts = [batch for _, batch in pairs.of_step(plan, step, CPU)]
    return [torch.cat([getattr(batch, name) for batch in parts]) for name in ("x0", "x1", "condition")]


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("coupling", [None, Backwards()], ids=["independent", "coupled"])
@pytest.mark.parametrize("accumulation", [2, 3, 6])
@pytest.mark.parametrize("dims", [2, AHEAD])
def test_pairs_do_not_depend_on_the_micro_batches(coupling, accumulation, dims):
    for step in (0, 2, 5):
        one, many = (whole(step, accumulation=k, coupling=coupling, dims=dims) for k in (1, accumulation))
        assert equal(one, many)


@pytest.mark.parametrize("dims", [2, AHEAD])
def test_x0_is_keyed_by_the_step_and_the_row(dims):
    x0, _, _ = whole(2, dims=dims)
    assert torch.equal(x0, normal_rows(7, "training", 12 + np.arange(6), (dims,)))


def test_steps_in_any_order_and_beyond_what_is_drawn_ahead_are_the_same():
    far = 2 * AHEAD // 12 + 5  # more than two blocks of steps
    pairs, plan = pairs_of(steps=10**6)
    for step in (far, 0, far + 1, 1, far):
        ((_, batch),) = pairs.of_step(plan, step, CPU)
        assert torch.equal(batch.x0, normal_rows(7, "training", 6 * step + np.arange(6), (2,)))


def test_what_an_objective_does_to_x0_changes_no_later_draw():
    pairs, plan = pairs_of()
    for _ in range(2):
        ((_, batch),) = pairs.of_step(plan, 0, CPU)
        assert batch.x0.abs().max() < 6
        batch.x0.fill_(100)


def test_a_coupling_gets_the_whole_batch_and_x1_keeps_its_condition():
    coupling = Backwards()
    x0, x1, condition = whole(1, accumulation=3, coupling=coupling)
    ((seen_x0, seen_x1, seen_condition),) = coupling.seen
    assert equal((seen_x1, seen_condition), (x1, condition))
    assert torch.equal(condition, x1[:, 0].long() % 3)
    assert equal((x0.sort(0).values,), (seen_x0.sort(0).values,))
    assert torch.equal(x1[:, 0].argsort(), x0[:, 0].argsort(descending=True))


def test_without_a_coupling_a_micro_batch_reads_its_own_rows_when_it_is_due():
    pairs, plan = pairs_of(accumulation=3)
    steps = pairs.of_step(plan, 0, CPU)
    next(steps)
    assert pairs.dataset.reads == [2]
    pairs, plan = pairs_of(accumulation=3, coupling=Backwards())
    next(pairs.of_step(plan, 0, CPU))
    assert pairs.dataset.reads == [2, 2, 2]


def test_data_in_pairs_keeps_its_own_x0():
    x0, x1, _ = whole(paired=True, coupling=Backwards())
    assert torch.equal(x0, -x1)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (torch.tensor([0, 0, 1]), "is not a permutation of 0 to 2; each row of x0 must be used once"),
        (torch.tensor([0, 1]), r"is \(2,\) torch.int64, expected \(3,\) torch.int64"),
        (torch.tensor([0, 1, 2]).int(), "torch.int32, expected"),
        ([0, 1, 2], "is a list, expected a tensor"),
    ],
)
def test_what_is_no_permutation_is_refused(rows, words):
    class Faulty:
        def couple(self, x0, x1, condition):
            return rows

    batch = Batch(torch.zeros(3, 2), None, torch.zeros(3, 2))
    with pytest.raises(PluginError, match=words) as caught:
        coupled(Faulty(), batch)
    assert caught.value.kind == "coupling"


def test_a_source_of_another_shape_is_refused():
    class Faulty:
        def draw(self, seed, purpose, rows):
            return torch.zeros(len(rows), 3)

    pairs, plan = pairs_of()
    pairs.source = Faulty()
    with pytest.raises(PluginError, match=r"draw\(...\) is \(\d+, 3\) torch.float32, expected") as caught:
        next(pairs.of_step(plan, 0, CPU))
    assert caught.value.kind == "source"
