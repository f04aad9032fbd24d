"""Peak memory of training steps, each contender in a process of its own, beyond what it held before the first step.

python -m benchmarks.memory CONTENDER BATCH_SIZE prints it in bytes: "plain fp32", "ours fp32" or "ours bf16".
"""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.timing import Row, ratio

SECTION = "peak memory"
STATUS = Path("/proc/self/status")
STEPS = 3  # the second and third know the optimizer's state and the first one's leftovers


def measure(quick: bool) -> list[Row]:
    """Return our growth over the plain script's."""
    from benchmarks.reference import precisions

    if not STATUS.exists():
        print(f"  {SECTION} is left out: it is read from {STATUS}, which only Linux has", file=sys.stderr)
        return []
    batch_size, rounds = (16, 1) if quick else (64, 3)
    names = ["plain fp32", *(f"ours {precision}" for precision in precisions())]
    growths: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            growths[name].append(growth_of_child("benchmarks.memory", name, str(batch_size)))
    plain = growths.pop("plain fp32")
    note = f"batch {batch_size}; plain: {plain[0] / 2**30:.2f} GiB"
    return [ratio(SECTION, f"{name} / plain fp32", growth, plain, note) for name, growth in growths.items()]


def growth_of_child(module: str, *arguments: str) -> int:
    """Return the growth in bytes that a module, run in a fresh process, measures and prints."""
    command = [sys.executable, "-m", module, *arguments]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def contender(name: str, batch_size: int) -> Callable[[], object]:
    """Return the training step of that name."""
    from benchmarks.steps import our_step, plain_step

    owner, precision = name.split()
    return plain_step(batch_size) if owner == "plain" else our_step(batch_size, precision)


def growth(work: Callable[[], object], times: int = 1) -> int:
    """Return by how much `times` calls raise this process's peak over what it holds before them, in bytes."""
    gc.collect()
    before = held("VmRSS")
    for _ in range(times):
        work()
    return held("VmHWM") - before


def held(field: str) -> int:
    """Return what this process holds now ("VmRSS") or ever held ("VmHWM"), in bytes.

    Not `ru_maxrss`: a process that is started by a large one inherits that one's.
    """
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    print(growth(contender(sys.argv[1], int(sys.argv[2])), STEPS))
