"""The command: its table, its JSON and its exit code."""

import json

import pytest

from benchmarks import bounds, memory, sampling
from benchmarks.__main__ import main, table
from benchmarks.timing import Row

ROW = Row("sampling", "plain fp32 / ours fp32", 2.5, 2.0, 3.25, "64 images")


@pytest.fixture(autouse=True)
def made_up(monkeypatch):
    """Sections that measure nothing, and a bound for one of their rows."""
    monkeypatch.setattr(sampling, "measure", lambda quick: [ROW])
    monkeypatch.setattr(memory, "measure", lambda quick: [Row("peak memory", f"quick is {quick}", 1.0, 1.0, 1.0)])
    monkeypatch.setattr(bounds, "load", lambda: {"sampling: plain fp32 / ours fp32": {"at_least": 2.6}})


def test_the_table_has_a_heading_for_each_section():
    other = Row("peak memory", "ours / plain", 0.5, 0.5, 0.5)
    lines = table([ROW, ROW, other]).splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["sampling", "peak memory"]
    assert lines[1].split() == ["plain", "fp32", "/", "ours", "fp32", "2.50", "(2.00", "to", "3.25)", "64", "images"]


def test_a_full_run_writes_its_figures_and_heeds_no_bounds(tmp_path, capsys):
    file = tmp_path / "new" / "bench.json"
    assert main(["--sections", "sampling", "memory", "--json", str(file)]) == 0
    written = json.loads(file.read_text())
    assert written["quick"] is False
    assert written["threads"] >= 1
    assert {"processor", "cores"} <= written["hardware"].keys()
    assert written["torch"]
    assert written["rows"][0] == {
        "section": "sampling", "name": "plain fp32 / ours fp32", "median": 2.5, "smallest": 2.0, "largest": 3.25,
        "note": "64 images",
    }  # fmt: skip
    assert [row["section"] for row in written["rows"]] == ["sampling", "peak memory"]
    assert "2.50 (2.00 to 3.25)" in capsys.readouterr().out


def test_a_quick_run_fails_on_a_bad_ratio_and_says_which(capsys):
    assert main(["--quick", "--sections", "sampling"]) == 1
    told = "slower than it was: sampling: plain fp32 / ours fp32: 2.5 (2 to 3.25), expected at least 2.6"
    assert told in capsys.readouterr().err


def test_a_quick_run_passes_where_the_bounds_are_kept():
    assert main(["--quick", "--sections", "memory"]) == 0
