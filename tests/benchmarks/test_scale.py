import pytest
from PIL import Image

from benchmarks import scale
from benchmarks.cost import AXES, Cost, CostModel, Size
from benchmarks.memory import STATUS
from benchmarks.scale import DataScale, Result, data_rows, draw, growth_of_child, measure_data

MIB = 2.0**20


@pytest.mark.skipif(not STATUS.exists(), reason="memory is read from /proc, which only Linux has")
def test_a_run_on_ten_million_samples_takes_the_memory_of_one_on_a_thousand():
    small, large = growth_of_child(10**3), growth_of_child(10**7)
    assert small > MIB
    # Half of what the smallest table with an entry of 8 bytes for each sample would take.
    assert large - small < 8 * 10**7 / 2


def test_data_are_measured_in_rounds(monkeypatch):
    monkeypatch.setattr(scale, "STEPS", 2)
    monkeypatch.setattr(scale, "growth_of_child", lambda size: size + 1)
    data = measure_data(2, (100, 10**6))
    assert data.memory == ({100: [101, 101], 10**6: [10**6 + 1] * 2} if STATUS.exists() else {})
    assert list(data.seconds) == [100, 10**6]
    assert all(len(times) == 2 and min(times) > 0 for times in data.seconds.values())


def test_rows_are_relative_to_the_fewest_samples():
    data = DataScale({10: [2 * MIB, 4 * MIB], 1000: [4 * MIB, 4 * MIB]}, {10: [0.001, 0.002], 1000: [0.002, 0.002]})
    memory, step = data_rows(data)
    assert (memory.name, memory.smallest, memory.largest) == ("memory of a run, 1,000 / 10 samples", 1.0, 2.0)
    assert memory.note == "4.0 and 3.0 MiB"
    assert (step.name, step.median, step.note) == ("step, 1,000 / 10 samples", 1.5, "2.0 and 1.5 ms")


@pytest.mark.parametrize("memory", [{}, {10: [2 * MIB], 100: [3 * MIB]}], ids=["no memory", "memory"])
def test_both_pictures_are_drawn(tmp_path, memory):
    model = CostModel(1e-12, 1e-9, 0.01)
    times = {Size(): [0.9, 1.0]} | {Size(**{axis: n}): [0.5, 0.6] for axis, values in AXES.items() for n in values}
    result = Result(DataScale(memory, {10: [0.1, 0.2], 100: [0.1, 0.3]}), Cost("bf16", times, model))
    files = draw(result, tmp_path / "new" / "folder")
    assert [file.name for file in files] == ["scale_data.png", "scale_cost.png"]
    with Image.open(files[0]) as data, Image.open(files[1]) as cost:
        assert data.width == (cost.width if memory else cost.width // 2)  # two panels, or one
        assert all(len(picture.convert("RGB").getcolors(2**24)) > 3 for picture in (data, cost))  # no blank page


def test_a_quick_measure_draws_nothing(tmp_path, monkeypatch):
    model = CostModel(1e-12, 1e-9, 0.01)
    monkeypatch.setattr(scale, "measure_data", lambda rounds, sizes: DataScale({}, {n: [0.1] * rounds for n in sizes}))
    monkeypatch.setattr(
        scale, "measure_cost", lambda rounds, axes: Cost("fp32", {Size(): [1.0], Size(depth=1): [0.5]}, model)
    )
    rows = scale.measure(True, tmp_path)
    assert [row.section for row in rows] == ["scale of data", "cost of a step", "cost of a step"]
    assert list(tmp_path.iterdir()) == []
