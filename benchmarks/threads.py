"""Training steps of small networks in one thread and in all, on an idle machine and beside as many busy processes.

python -m benchmarks.threads [--rounds 5]

The ratio is the time in all threads over that in one. A step's operations are 6 x parameters x batch.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median

import torch
from torch import nn

from benchmarks.timing import interleaved

#: Width, hidden layers, batch.
SIZES = ((64, 3, 256), (128, 3, 256), (192, 3, 256), (256, 3, 256), (256, 4, 1024), (1024, 4, 1024))


def main() -> None:
    """Print a line for each size and load."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for load in ("idle", "busy"):
        neighbors = [multiprocessing.Process(target=spin, daemon=True) for _ in range(os.cpu_count() or 1)]
        for neighbor in neighbors if load == "busy" else []:
            neighbor.start()
        for size in SIZES:
            operations, times = compare(*size, rounds)
            ratios = sorted(many / one for one, many in zip(times["one"], times["all"], strict=True))
            spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
            print(f"{load}, {operations / 1e6:7.0f} MFLOP: all / one {median(ratios):6.2f} ({spread})", flush=True)
        for neighbor in neighbors if load == "busy" else []:
            neighbor.kill()


def spin() -> None:
    """Keep a core busy."""
    while True:
        pass


def compare(width: int, depth: int, batch: int, rounds: int) -> tuple[int, dict[str, list[float]]]:
    """Return a step's operations, and the times of some steps in one thread and in all."""
    widths = [3, *[width] * depth]
    hidden = [layer for n, m in pairwise(widths) for layer in (nn.Linear(n, m), nn.SiLU())]
    network = nn.Sequential(*hidden, nn.Linear(width, 2))
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    x, y = torch.randn(batch, 3), torch.randn(batch, 2)
    threads = torch.get_num_threads()
    operations = 6 * batch * sum(parameter.numel() for parameter in network.parameters())
    steps = max(3, int(1e9 / (operations + 3e7)))

    def work(count: int) -> Callable[[], None]:
        def run() -> None:
            torch.set_num_threads(count)
            started = time.perf_counter()
            for _ in range(steps):
                optimizer.zero_grad()
                (network(x) - y).square().mean().backward()
                optimizer.step()
                if time.perf_counter() - started > 20:  # enough is known
                    break
            torch.set_num_threads(threads)

        return run

    return operations, interleaved({"one": work(1), "all": work(threads)}, rounds)


if __name__ == "__main__":
    main()
