"""Steps, order and learning rates, as functions of the step."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from building import built, train_settings
from gentoolkit.errors import PluginError, UsageError
from gentoolkit.randomness import Permutation
from gentoolkit.registry import build
from gentoolkit.training import Plan


def plan(num_samples=100, seed=0, **settings):
    settings = train_settings(**{"batch_size": 8, **settings})
    return Plan(settings, num_samples, seed, build(settings.schedule))


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


def test_the_rate_is_that_of_the_schedule():
    p = plan(epochs=3, schedule={"type": "linear", "warmup_steps": 4, "per_epoch": True})
    schedule = built("schedule", "linear", warmup_steps=4, per_epoch=True)
    assert [p.rate(step) for step in range(36)] == [schedule.fraction(step, 36, 12) for step in range(36)]


def test_a_fraction_above_one_is_an_error():
    class Double:
        def fraction(self, step, total_steps, steps_per_epoch):
            return 2.0

    with pytest.raises(PluginError, match=r"the fraction at step 3 is 2.0; expected 0 to 1"):
        replace(plan(steps=5), schedule=Double()).rate(3)


def test_ten_checkpoints_by_default():
    assert plan(steps=95).checkpoint_every == math.ceil(95 / 10)
    assert plan(steps=95, checkpoint_every=7).checkpoint_every == 7


def test_a_warm_up_that_fills_the_run_is_an_error():
    with pytest.raises(UsageError, match=r"^train\.schedule\.warmup_steps: .* 12 steps, .* only 12; lower it$"):
        plan(epochs=1, schedule={"warmup_steps": 12})


def test_a_batch_larger_than_the_data_is_an_error():
    with pytest.raises(UsageError, match=r"batch_size 8 is more than the 7 training samples"):
        plan(7, steps=1)
