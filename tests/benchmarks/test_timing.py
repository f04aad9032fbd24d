"""Rounds are interleaved, and ratios are taken within a round."""

import os
from collections import Counter
from functools import partial

import pytest

from benchmarks.timing import Row, in_processes, interleaved, ratio, seconds


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


def append_line(path):
    """Return what appends to a file the process it is in and how often it was called."""
    calls = Counter()

    def work():
        calls[path] += 1
        with path.open("a") as file:
            file.write(f"{os.getpid()} {calls[path]}\n")

    return work


def test_each_contender_lives_in_one_process_of_its_own(tmp_path):
    makers = {name: partial(append_line, tmp_path / name) for name in "ab"}
    with in_processes(makers) as contenders:
        interleaved(contenders, rounds=2)
    lines = {name: [line.split() for line in (tmp_path / name).read_text().splitlines()] for name in "ab"}
    assert {name: [calls for _, calls in found] for name, found in lines.items()} == {
        name: list("123") for name in "ab"
    }
    processes = {pid for found in lines.values() for pid, _ in found}
    assert len(processes) == 2
    assert str(os.getpid()) not in processes
