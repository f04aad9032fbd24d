"""Keys, generators, global draws and the keyed permutation."""

import math
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gentoolkit.randomness import (
    BatchGenerator,
    Permutation,
    forked,
    key,
    normal_rows,
    numpy_generator,
)


def test_key_depends_on_every_argument():
    keys = [key(0, "a"), key(1, "a"), key(0, "b"), key(0, "a", 0), key(0, "a", 1), key(0, "a", 0, 0), key(0, "a/0")]
    # "a" with the number 0 and the purpose "a/0" are written alike: purposes are words, without a slash.
    assert len(set(keys)) == len(keys) - 1


def test_key_is_the_same_on_every_machine():
    assert key(42, "order", 7) == 9838186513285761636


def test_generators_repeat():
    assert np.array_equal(numpy_generator(1, "x", 2).random(3), numpy_generator(1, "x", 2).random(3))


@given(
    rows=st.lists(st.integers(0, 40) | st.integers(2**41, 2**41 + 3), max_size=12),
    shape=st.lists(st.integers(1, 5), max_size=3).map(tuple),
)
def test_a_row_depends_on_its_number_alone(rows, shape):
    together = normal_rows(3, "noise", np.array(rows, dtype=np.int64), shape, 7)
    assert together.shape == (len(rows), *shape)
    for number, row in zip(rows, together, strict=True):
        assert torch.equal(normal_rows(3, "noise", np.array([number]), shape, 7)[0], row)


def test_a_million_rows_are_a_million_different_ones():
    """Two numbers have 48 random bits or more between them: 10^6 rows collide by chance with P < 2e-3."""
    rows = normal_rows(42, "source", np.arange(10**6), (2,))
    assert len(np.unique(rows.numpy().view(np.int64))) == 10**6


def test_a_million_keys_are_a_million_different_ones():
    """Of 64 bits each: two equal ones have P < 3e-8. Philox takes all of them, and maps one key to one stream."""
    keys = np.array([key(42, "order", number) for number in range(10**6)], dtype=np.uint64)
    assert len(np.unique(keys)) == 10**6
    low = np.random.Philox(key=7).random_raw(4)
    assert not np.array_equal(low, np.random.Philox(key=7 + (1 << 63)).random_raw(4))


def test_normal_draws_are_standard_normal_and_independent():
    """Of n = 2^20 draws: mean, variance, fourth moment and the covariance of a pair, each within 5 standard errors."""
    rows = normal_rows(1, "moments", np.arange(2**19), (2,)).double()
    n, flat = rows.numel(), rows.flatten()
    assert abs(flat.mean()) < 5 / n**0.5
    assert abs(flat.square().mean() - 1) < 5 * (2 / n) ** 0.5
    assert abs(flat.pow(4).mean() - 3) < 5 * (96 / n) ** 0.5
    assert abs((rows[:, 0] * rows[:, 1]).mean()) < 5 / (n / 2) ** 0.5
    assert abs((rows[:, 0].square() * rows[:, 1].square()).mean() - 1) < 5 * (8 / (n / 2)) ** 0.5
    # The share beyond 4 is 6.3e-5, Poisson.
    beyond = (flat.abs() > 4).sum().item()
    expected = n * math.erfc(4 / 2**0.5)
    assert abs(beyond - expected) < 5 * expected**0.5


def test_every_draw_of_a_step_is_another():
    draws = BatchGenerator(0, "objective", 3, 64)
    drawn = [draws.normal(4), draws.normal(4), draws.uniform(4), draws.uniform(4)]
    assert len(torch.cat(drawn, 1).unique()) == 4 * 64 * 4


def test_forked_is_keyed_and_leaves_the_global_state():
    before = torch.random.get_rng_state()
    with forked(1, "init"):
        first = torch.rand(4)
    with forked(1, "init"):
        again = torch.rand(4)
    with forked(2, "init"):
        other = torch.rand(4)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    "draw", [lambda g: g.normal(2, 3), lambda g: g.uniform(), lambda g: g.stratified(), lambda g: g.subset(9, 4)]
)
def test_parts_of_a_batch_see_the_draws_of_the_whole(draw):
    whole = draw(BatchGenerator(5, "objective", 9, 8))
    parts = [draw(BatchGenerator(5, "objective", 9, 8, slice(i, i + 2))) for i in range(0, 8, 2)]
    assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(whole, draw(BatchGenerator(5, "objective", 10, 8)))


@pytest.mark.parametrize("draw", [lambda g: g.normal(3), lambda g: g.uniform(2, 2), lambda g: g.stratified()])
def test_drawing_ahead_changes_nothing(monkeypatch, draw):
    def drawn():
        return [draw(BatchGenerator(5, "objective", step, 8, slice(2, 7))) for step in (0, 1, 700, 10**6)]

    ahead = drawn()
    ahead[0] += 1  # what is handed out is the caller's
    monkeypatch.setattr("gentoolkit.randomness.AHEAD", 0)
    alone = drawn()
    assert torch.equal(ahead[0], alone[0] + 1)
    assert all(map(torch.equal, ahead[1:], alone[1:]))
    assert len(torch.stack(alone).flatten().unique()) == torch.stack(alone).numel()


def test_subsets_are_different_numbers_each_as_likely():
    """A number's count over 20,000 rows is binomial with p = 3 / 7; 5 standard deviations are a 6e-7 false alarm."""
    rows = 20_000
    subsets = BatchGenerator(0, "tokens", 0, rows).subset(7, 3)
    assert all(len(set(row)) == 3 for row in subsets[:1000].tolist())
    counts = subsets.flatten().bincount(minlength=7)
    assert (counts - rows * 3 / 7).abs().max() < 5 * (rows * 3 / 7 * 4 / 7) ** 0.5


def test_stratified_times_hit_every_stratum_once():
    times = BatchGenerator(0, "t", 0, 64).stratified()
    assert sorted((times * 64).floor().int().tolist()) == list(range(64))


def test_stratified_times_are_uniform_over_the_steps():
    """The mean over s steps of one entry has standard error 1 / sqrt(12 s); 5 of them are a 6e-7 false alarm."""
    steps = 2000
    first = torch.stack([BatchGenerator(0, "t", step, 4).stratified()[0] for step in range(steps)])
    assert abs(first.mean().item() - 0.5) < 5 / (12 * steps) ** 0.5


@given(length=st.integers(1, 5000) | st.integers(2**16 - 3, 2**16 + 3), seed=st.integers(0, 2**63 - 1))
def test_permutation_is_a_bijection(length, seed):
    assert np.array_equal(np.sort(Permutation(length, seed, "order")(np.arange(length))), np.arange(length))


@given(length=st.integers(1, 2**62 - 1), data=st.data())
def test_permutation_of_a_huge_range_needs_no_table(length, data):
    positions = np.array(data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=8, unique=True)))
    indices = Permutation(length, 1, "order")(positions)
    assert ((indices >= 0) & (indices < length)).all()
    assert len(set(indices.tolist())) == len(positions)


def test_permutation_is_the_same_on_every_machine():
    assert Permutation(10, 0, "order", 1)(np.arange(10)).tolist() == [0, 4, 3, 1, 8, 5, 6, 7, 2, 9]
    assert Permutation(100_000, 0, "order", 1)(np.arange(5)).tolist() == [50846, 14884, 93668, 35972, 7870]
    far = Permutation(10**9, 3, "order", 1)(np.arange(5))
    assert far.tolist() == [541231179, 913430997, 470855243, 62111974, 486153370]


@pytest.mark.parametrize("length", [2, 3, 4, 5])
def test_every_order_of_few_samples_is_as_likely(length):
    """Chi-squared over the n! orders of 200 n! seeds: mean n! - 1, deviation sqrt(2 (n! - 1)); 5 of these."""
    count, times = math.factorial(length), 200
    orders = [tuple(Permutation(length, seed, "order")(np.arange(length))) for seed in range(times * count)]
    seen = Counter(orders)
    chi2 = sum((seen[order] - times) ** 2 / times for order in permutations(range(length)))
    assert abs(chi2 - (count - 1)) < 5 * (2 * (count - 1)) ** 0.5


def test_permutation_looks_random():
    """Fixed points of a random permutation are Poisson(1), successions too: 400 seeds average 1 +- 0.05; 5 sigma."""
    fixed, successions = [], []
    length = 2**16 + 1  # not shuffled
    for seed in range(400):
        order = Permutation(length, seed, "order")(np.arange(length))
        fixed.append((order == np.arange(length)).sum())
        successions.append((np.diff(order) == 1).sum())
    assert abs(np.mean(fixed) - 1) < 0.25
    assert abs(np.mean(successions) - 1) < 0.25


@pytest.mark.parametrize("length", [0, -1, 2**62])
def test_permutation_refuses_a_bad_length(length):
    with pytest.raises(ValueError, match=str(length)):
        Permutation(length, 0, "order")


@pytest.mark.parametrize("length", [2**16 + 1, 2**20, 2**24, 2**24 + 1])
def test_tables_of_the_round_functions_change_nothing(monkeypatch, length):
    positions = np.arange(0, length, max(1, length // 500))
    looked_up = Permutation(length, 2, "order", 1)(positions)
    monkeypatch.setattr(Permutation, "TABLE_BITS", 0)
    assert np.array_equal(looked_up, Permutation(length, 2, "order", 1)(positions))
