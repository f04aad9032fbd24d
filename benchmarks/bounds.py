"""The guard against regressions: ratios of `--quick` beside the bounds in bounds.json.

A bound is for the median: {"at_least": 2.0} or {"at_most": 1.1}, by "section: name" of its row. Where processors differ
it is given by the vector instructions that torch uses, {"at_least": {"AVX512": 1.4, "AVX2": 1.1}}; others have none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.timing import Row

FILE = Path(__file__).with_name("bounds.json")
Bounds = Mapping[str, Mapping[str, float | Mapping[str, float]]]


def load(file: Path = FILE) -> Bounds:
    """Return the committed bounds."""
    bounds: Bounds = json.loads(file.read_text(encoding="utf-8"))
    return bounds


def violations(rows: Iterable[Row], bounds: Bounds, bf16: bool, instructions: str) -> list[str]:
    """Return what is wrong, a line each; rows without a bound pass.

    Args:
        rows: What was measured.
        bounds: Those of sections that were not measured at all are passed over.
        bf16: Whether this processor has bf16 instructions; bounds of bf16 rows wait for one that has.
        instructions: The vector instructions that torch uses, e.g. "AVX2".
    """
    measured = {f"{row.section}: {row.name}": row for row in rows}
    sections = {row.section for row in measured.values()}
    faults = []
    for name, bound in bounds.items():
        if name.split(": ")[0] not in sections or ("bf16" in name and not bf16):
            continue
        if name not in measured:
            faults.append(f"{name}: has a bound but was not measured; it is one of {', '.join(measured)}")
            continue
        row = measured[name]
        spread = f"{row.median:.3g} ({row.smallest:.3g} to {row.largest:.3g})"
        for side, limit in bound.items():
            number = limit if isinstance(limit, int | float) else limit.get(instructions, row.median)
            if row.median < number if side == "at_least" else row.median > number:
                faults.append(f"{name}: {spread}, expected {side.replace('_', ' ')} {number:g}")
    return faults
