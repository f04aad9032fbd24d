"""Where the time of a training step of the reference recipe goes, by operation: the plain script's and ours.

python -m benchmarks.profile [--batch-size 64] [--json FILE]

The self times of torch's operators, added up by kind, as shares of the plain script's whole step.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

from benchmarks.plain_script import PlainTraining
from benchmarks.reference import precisions, reference, step_of, training_data
from benchmarks.steps import WARM_UP

#: Kind -> what the names of its operators contain; the first kind that fits counts.
KINDS = {
    "fused attention": ("scaled_dot_product",),
    "softmax": ("softmax",),
    "matrix products": ("aten::mm", "addmm", "bmm", "convolution"),
    "layer norms": ("layer_norm",),
    "GELU": ("gelu",),
    "sums": ("aten::sum", "aten::mean"),
    "copies": ("copy_", "aten::cat", "fill_", "zero_", "clone"),
    "multiplications and additions": ("aten::mul", "aten::add", "addcmul", "aten::div", "aten::sub"),
    "optimizer, clipping, averages": ("adamw", "Optimizer", "norm", "foreach", "lerp", "sqrt"),
}
REST = "the rest"


def kind_of(operator: str) -> str:
    """Return the kind that an operator counts for."""
    names = (kind for kind, parts in KINDS.items() if any(part in operator for part in parts))
    return next(names, REST)


def measure(step: Callable[[], object]) -> dict[str, float]:
    """Return the seconds of one step by kind of operation."""
    for _ in range(WARM_UP):
        step()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        step()
    totals: dict[str, float] = defaultdict(float)
    for event in profiled.key_averages():
        totals[kind_of(event.key)] += event.self_cpu_time_total / 1e6
    return dict(totals)


def main() -> None:
    """Profile the steps and print their table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the shares")
    options = parser.parse_args()
    # The plain script first: building a model of ours tells the C library to keep freed memory.
    seconds = {"plain fp32": measure(PlainTraining(training_data(), options.batch_size).step)}
    recipe = reference(f"train.batch_size={options.batch_size}")
    seconds |= {f"ours {precision}": measure(step_of(recipe, precision)) for precision in precisions()}
    whole = sum(seconds["plain fp32"].values())
    shares = {name: {kind: times.get(kind, 0) / whole for kind in [*KINDS, REST]} for name, times in seconds.items()}
    print(table(shares))
    if options.json:
        options.json.write_text(json.dumps(shares, indent=2) + "\n", encoding="utf-8")


def table(shares: dict[str, dict[str, float]]) -> str:
    """Return the shares as a table in Markdown, a column for each step."""
    rows = [["", *shares], ["---"] * (len(shares) + 1)]
    rows += [[kind, *(f"{shares[name][kind]:.1%}" for name in shares)] for kind in [*KINDS, REST]]
    rows.append(["whole step", *(f"{sum(column.values()):.1%}" for column in shares.values())])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
