"""Which times are divided by which, told from times that are made up; and that every contender runs."""

from benchmarks import sampling, steps
from benchmarks.reference import precisions

TIMES = {
    "plain fp32": [8.0, 16.0],
    "ours fp32": [4.0, 8.0],
    "ours bf16": [2.0, 4.0],
    steps.GIVEN_BACK: [3.0, 6.0],
}

PEER_TIMES = {
    "quick": {"ours bf16": [2.0, 4.0], "quick fp32": [6.0, 12.0], "quick bf16": [5.0, 10.0]},
    "slow": {"ours bf16": [4.0, 8.0], "slow fp32": [40.0, 80.0], "slow bf16": [8.0, 16.0]},
}


def medians(rows):
    return {row.name: row.median for row in rows}


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


def test_every_own_step_runs():
    work = steps.own_makers(batch_size=1)
    assert set(work) == {"plain fp32", *(f"ours {p}" for p in precisions()), steps.GIVEN_BACK}
    for make in work.values():
        make()()


def test_ours_draws_as_many_images_as_the_plain_script():
    assert len(sampling.plain(8, 1)()) == len(sampling.ours(8, 1, "fp32")().x1) == 8
