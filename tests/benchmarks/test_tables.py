"""The READMEs show what the result files say."""

import json

import pytest

from benchmarks import tables
from benchmarks.tables import filled


@pytest.mark.parametrize("path", tables.PAGES, ids=lambda path: str(path.relative_to(tables.ROOT)))
def test_the_pages_show_the_figures(path):
    page = path.read_text(encoding="utf-8")
    assert page == filled(page)


def test_a_row_shows_its_median_and_spread(tmp_path, monkeypatch):
    row = {"section": "sampling", "name": "plain / ours", "median": 2.346, "smallest": 2, "largest": 3, "note": "why"}
    (tmp_path / "bench.json").write_text(json.dumps({"rows": [row]}))
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    page = "before\n<!-- table: bench -->\nold\n<!-- end -->\nafter\n"
    assert "| sampling: plain / ours | 2.35 | 2.00 to 3.00 | why |" in filled(page).splitlines()
    assert filled(filled(page)) == filled(page)
    assert filled(page).startswith("before\n")
    assert "old" not in filled(page)
