"""Rounds are interleaved, and ratios are taken within a round."""

import pytest

from benchmarks.timing import Row, interleaved, ratio, seconds


def test_every_round_runs_all_in_turn():
    order = []
    contenders = {name: lambda name=name: order.append(name) for name in "abc"}
    times = interleaved(contenders, rounds=3, warm_up=2)
    assert "".join(order) == "abc" * (2 + 3)
    assert {name: len(found) for name, found in times.items()} == {"a": 3, "b": 3, "c": 3}


def test_the_warm_up_is_not_counted(monkeypatch):
    clock = iter([0.0, 1.0, 5.0, 7.0])
    monkeypatch.setattr("benchmarks.timing.time.perf_counter", lambda: next(clock))
    assert interleaved({"a": lambda: None}, rounds=2) == {"a": [1.0, 2.0]}
    clock = iter([0.0, 0.5])
    assert seconds(lambda: None) == 0.5


def test_a_ratio_pairs_the_times_of_a_round():
    # A machine that is three times as slow in the second round: the ratio of every round is 2 all the same.
    row = ratio("section", "a / b", [2.0, 6.0, 2.0], [1.0, 3.0, 1.0], "note")
    assert row == Row("section", "a / b", 2.0, 2.0, 2.0, "note")
    spread = ratio("section", "a / b", [4.0, 1.0, 9.0], [1.0, 1.0, 3.0])
    assert (spread.median, spread.smallest, spread.largest) == (3.0, 1.0, 4.0)
    with pytest.raises(ValueError, match="argument 2"):
        ratio("section", "a / b", [1.0], [1.0, 2.0])
