"""Which times are divided by which, told from times that are made up; and that every contender runs."""

import math

import pytest

from benchmarks import limit, sampling, steps
from benchmarks.reference import precisions

TIMES = {
    "plain fp32": [8.0, 16.0],
    "ours fp32": [4.0, 8.0],
    "ours bf16": [2.0, 4.0],
    "limit fp32": [3.0, 6.0],
    "limit bf16": [1.0, 2.0],
    "elementwise fp32": [0.5, 1.0],
    "elementwise bf16": [0.5, 1.0],
    "square fp32": [0.1, 0.2],
    "square bf16": [0.01, 0.02],
    steps.GIVEN_BACK: [3.0, 6.0],
}

PEER_TIMES = {
    "quick": {"ours bf16": [2.0, 4.0], "quick fp32": [6.0, 12.0], "quick bf16": [5.0, 10.0]},
    "slow": {"ours bf16": [4.0, 8.0], "slow fp32": [40.0, 80.0], "slow bf16": [8.0, 16.0]},
}


def medians(rows):
    return {row.name: row.median for row in rows}


@pytest.fixture
def two_precisions(monkeypatch):
    monkeypatch.setattr(steps, "precisions", lambda: ("fp32", "bf16"))


def test_the_plain_script_is_divided_by_ours():
    assert medians(steps.plain_rows(TIMES, 64)) == {
        "plain fp32 / ours fp32": 2,
        "plain fp32 / ours bf16": 4,
        "freed memory given back / ours bf16": 1.5,
    }


def test_the_quickest_peer_is_another_one_at_its_best_than_as_it_comes():
    rows = steps.peer_rows(PEER_TIMES, {"quick": "", "slow": ""})
    assert medians(rows) == {
        "quickest peer as it comes / ours bf16": 3,
        "quickest peer at its best / ours bf16": 2,
        "quick fp32 / ours bf16": 3,
        "quick bf16 / ours bf16": 2.5,
        "slow fp32 / ours bf16": 10,
        "slow bf16 / ours bf16": 2,
    }
    assert [row.note for row in rows[:2]] == ["quick fp32", "slow bf16"]
    assert steps.peer_rows({}, {}) == []


@pytest.mark.usefixtures("two_precisions")
def test_the_limit_is_divided_by_our_step():
    found = medians(steps.limit_rows(TIMES, 64))
    assert found["its products alone / our step, fp32"] == 0.75
    assert found["its products alone / our step, bf16"] == 0.5
    assert found["its products and elementwise operations / our step, bf16"] == 0.75
    at_full_rate = limit.flops(limit.step_products(64)) / (2 * 2048**3) * 0.01  # seconds at the square product's rate
    assert math.isclose(found["its operations at full rate / our step, bf16"], at_full_rate / 2)


def test_every_own_step_runs():
    work = steps.own_makers(batch_size=1)
    expected = {
        "plain fp32",
        *(f"{kind} {p}" for kind in ("ours", "limit", "elementwise", "square") for p in precisions()),
    }
    expected |= {steps.GIVEN_BACK}
    assert set(work) == expected
    for name in expected - {f"square {p}" for p in precisions()}:
        work[name]()()


def test_ours_draws_as_many_images_as_the_plain_script():
    assert len(sampling.plain(8, 1)()) == len(sampling.ours(8, 1, "fp32")().x1) == 8
