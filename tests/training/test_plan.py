"""Steps, order and learning rates, as functions of the step."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gentoolkit.errors import UsageError
from gentoolkit.randomness import Permutation
from gentoolkit.settings import TrainSettings
from gentoolkit.training import Plan


def plan(num_samples=100, seed=0, **settings):
    return Plan(TrainSettings(**{"batch_size": 8, **settings}), num_samples, seed)


def test_incomplete_last_batches_are_dropped():
    assert plan(epochs=3).steps_per_epoch == 12
    assert plan(epochs=3).total_steps == 36
    assert plan(steps=5).total_steps == 5


def test_the_reference_takes_1550_steps():
    assert plan(2000, epochs=50, batch_size=64).total_steps == 1550


@given(num_samples=st.integers(8, 300), seed=st.integers(0, 99), epoch=st.integers(0, 3))
def test_no_sample_comes_twice_in_an_epoch(num_samples, seed, epoch):
    p = plan(num_samples, seed, epochs=4)
    seen = np.concatenate([p.indices(epoch * p.steps_per_epoch + k) for k in range(p.steps_per_epoch)])
    assert len(set(seen.tolist())) == len(seen) == p.steps_per_epoch * 8
    assert seen.min() >= 0
    assert seen.max() < num_samples


@pytest.mark.parametrize("block", [1, 20, 64, 16_384])  # less than a batch, between, a multiple, more than an epoch
def test_the_order_does_not_depend_on_how_much_is_found_at_once(monkeypatch, block):
    monkeypatch.setattr("gentoolkit.training.plan.ORDER_BLOCK", block)
    p = plan(num_samples=100, seed=3, epochs=2)
    for step in (0, 11, 5, 12, 23):
        epoch, position = divmod(step, 12)
        expected = Permutation(100, 3, "order", epoch)(np.arange(position * 8, position * 8 + 8))
        assert np.array_equal(p.indices(step), expected)


def test_a_dataset_may_change_the_indices_it_is_given():
    p = plan(epochs=1)
    before = p.indices(0).tolist()
    p.indices(0)[:] = 0
    assert p.indices(0).tolist() == before


def test_epochs_have_orders_of_their_own():
    p = plan(epochs=2)
    assert p.indices(0).tolist() != p.indices(p.steps_per_epoch).tolist()
    assert p.indices(0).tolist() != plan(epochs=2, seed=1).indices(0).tolist()


def test_cosine_by_epochs_equals_torchs_own_scheduler():
    """The reference recipe steps torch's CosineAnnealingLR(T_max=epochs) once an epoch."""
    p = plan(epochs=5, schedule="cosine", schedule_unit="epoch", learning_rate=0.3)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
    for step in range(p.total_steps):
        assert 0.3 * p.rate(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        if (step + 1) % p.steps_per_epoch == 0:
            scheduler.step()


def test_linear_with_warm_up_rises_then_falls_to_zero():
    p = plan(steps=20, schedule="linear", warmup_steps=4)
    rates = [p.rate(k) for k in range(21)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert np.diff(rates[4:]).tolist() == pytest.approx([-1 / 16] * 16)
    assert rates[20] == 0


def test_cosine_by_steps_passes_its_half_in_the_middle():
    p = plan(steps=10, schedule="cosine")
    assert p.rate(0) == 1
    assert p.rate(5) == pytest.approx(0.5)
    assert p.rate(10) == pytest.approx(0, abs=1e-12)
    assert plan(steps=10, schedule="constant").rate(9) == 1


def test_ten_checkpoints_by_default():
    assert plan(steps=95).checkpoint_every == math.ceil(95 / 10)
    assert plan(steps=95, checkpoint_every=7).checkpoint_every == 7


def test_a_warm_up_that_fills_the_run_is_an_error():
    with pytest.raises(UsageError, match=r"warmup_steps is 12, but training has only 12 steps"):
        plan(epochs=1, warmup_steps=12)


def test_a_batch_larger_than_the_data_is_an_error():
    with pytest.raises(UsageError, match=r"batch_size 8 is more than the 7 training samples"):
        plan(7, steps=1)
