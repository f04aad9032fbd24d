"""Bring the figures in `benchmarks/results/` into the tables of the READMEs.

python -m benchmarks.tables

`make bench` and `benchmarks.time_to_quality` write these figures with `--json benchmarks/results/NAME.json`. A test
holds that the READMEs show what the files say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.time_to_quality import PLAIN_STEPS

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "README.md", ROOT / "benchmarks" / "README.md")
#: What the project's README shows of the benchmark: the sections, without the single peers' rows.
SHORT = ("training step", "sampling", "overhead of the pipeline")
BLOCK = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def read(name: str) -> Any:
    """Return the figures of one command."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    return "".join(f"| {' | '.join(row)} |\n" for row in [head, ["---"] * len(head), *rows])


def bench() -> str:
    """Return all rows of `make bench`."""
    return markdown(("", "ratio", "smallest to largest", ""), [_row(row, row["note"]) for row in read("bench")["rows"]])


def speed() -> str:
    """Return the rows that tell most."""
    rows = [row for row in read("bench")["rows"] if row["section"] in SHORT]
    told = [row for row in rows if row["name"].startswith(("plain", "quickest", "DiT", "2-D"))]
    return markdown(("", "ratio", "smallest to largest"), [_row(row)[:3] for row in told])


def _row(row: dict[str, Any], *more: str) -> list[str]:
    spread = f"{row['smallest']:.2f} to {row['largest']:.2f}"
    return [f"{row['section']}: {row['name']}", f"{row['median']:.2f}", spread, *more]


def quality() -> str:
    """Return the outcomes of the runs to the reference's quality."""
    figures = read("quality")
    steps = figures["plain_step_seconds"]
    plain = median(steps) * PLAIN_STEPS
    head = ("seed", "validation loss", "exact field", "RMSE", "SW2", "exact field", "training", "whole command")
    rows = [
        [
            str(o["seed"]),
            *(f"{o[name]:.4f}" for name in ("loss", "reference_loss", "rmse", "wasserstein", "exact_wasserstein")),
            *(f"1/{plain / o[name]:.0f}" for name in ("train_seconds", "command_seconds")),
        ]
        for o in figures["outcomes"]
    ]
    taken = f"{min(steps):.1f} to {max(steps):.1f} s, median {median(steps):.1f} s"
    return f"{markdown(head, rows)}\nThe plain script's steps, taken before and after each run: {taken}.\n"


TABLES = {"bench": bench, "speed": speed, "quality": quality}


def filled(page: str) -> str:
    """Return a page with its tables as the figures are."""
    return BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]]()}{block[4]}", page)


def main() -> None:
    """Write the pages."""
    for path in PAGES:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
