import pytest

from benchmarks import scale
from benchmarks.memory import STATUS, growth_of_child

MIB = 2.0**20


@pytest.mark.skipif(not STATUS.exists(), reason="memory is read from /proc, which only Linux has")
def test_a_run_on_ten_million_samples_takes_the_memory_of_one_on_a_thousand():
    small, large = (growth_of_child("benchmarks.scale", str(size)) for size in (10**3, 10**7))
    assert small > MIB
    # Half of what the smallest table with an entry of 8 bytes for each sample would take.
    assert large - small < 8 * 10**7 / 2


def test_each_size_is_timed_in_rounds(monkeypatch):
    monkeypatch.setattr(scale, "STEPS", 8)  # in three rounds, more steps than the smoke recipe has
    seconds = scale.seconds_of_step((100, 10**6), rounds=2)
    assert list(seconds) == [100, 10**6]
    assert all(len(times) == 2 and min(times) > 0 for times in seconds.values())


def test_rows_are_relative_to_the_fewest_samples():
    (row,) = scale.relative("memory", {10: [2 * MIB, 4 * MIB], 1000: [4 * MIB, 4 * MIB]}, "MiB", 1 / MIB)
    assert (row.name, row.smallest, row.largest) == ("memory, 1,000 / 10 samples", 1.0, 2.0)
    assert row.note == "4.0 and 3.0 MiB"
