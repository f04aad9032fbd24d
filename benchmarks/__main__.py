"""Speed side by side with a plain script and with peers: ratios from one run, with their spread.

python -m benchmarks [--quick] [--sections NAME ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from benchmarks import bounds
from benchmarks.reference import CPU
from benchmarks.timing import Row
from gentoolkit.devices import has_bf16
from gentoolkit.provenance import hardware

#: Modules of this package, each with `measure(quick) -> list[Row]`.
SECTIONS = ("steps", "unet", "images", "sampling", "toy_loops", "memory", "overhead", "startup", "scale")
#: Those that the guard against regressions needs, in under three minutes.
QUICK = ("steps", "sampling", "overhead")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections, print the table, and return the exit code."""
    options = parser().parse_args(arguments)
    print("A / B is the time of A over the time of B: median (smallest to largest) of the rounds", flush=True)
    started = time.perf_counter()
    rows: list[Row] = []
    torch.manual_seed(0)
    for name in options.sections or (QUICK if options.quick else SECTIONS):
        print(f"measuring {name}", file=sys.stderr, flush=True)
        measured = import_module(f"benchmarks.{name}").measure(options.quick)
        print(table(measured), flush=True)
        rows += measured
    print(f"took {(time.perf_counter() - started) / 60:.1f} minutes", file=sys.stderr)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document(rows, options.quick), indent=2) + "\n", encoding="utf-8")
    instructions = torch.backends.cpu.get_cpu_capability()
    faults = bounds.violations(rows, bounds.load(), has_bf16(CPU), instructions) if options.quick else []
    for fault in faults:
        print(f"slower than it was: {fault}", file=sys.stderr)
    return 1 if faults else 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    described = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n\n")[0])
    described.add_argument("--quick", action="store_true", help="small batches, few rounds; exit 1 on a regression")
    described.add_argument("--sections", nargs="+", choices=SECTIONS, metavar="NAME", help=", ".join(SECTIONS))
    described.add_argument("--json", type=Path, metavar="FILE", help="where to write the ratios")
    return described


def table(rows: Sequence[Row]) -> str:
    """Return the rows under the names of their sections."""
    lines: list[str] = []
    for i, row in enumerate(rows):
        if i == 0 or rows[i - 1].section != row.section:
            lines.append(row.section)
        lines.append(str(row))
    return "\n".join(lines)


def document(rows: Sequence[Row], quick: bool) -> dict[str, Any]:
    """Return the run as plain JSON data."""
    return {
        "quick": quick,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "hardware": hardware(CPU),
        "rows": [row.to_dict() for row in rows],
    }


if __name__ == "__main__":
    sys.exit(main())
