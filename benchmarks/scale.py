"""Memory and step time from 10³ to 10⁷ samples: neither should depend on the size of the dataset.

python -m benchmarks.scale NUM_SAMPLES prints the memory that a whole small run takes on so much data, in bytes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.memory import STATUS, growth, growth_of_child
from benchmarks.reference import precisions, step_of
from benchmarks.timing import Row, interleaved, ratio
from gentoolkit.recipe import Recipe, load_recipe

SECTION = "scale of data"
SIZES = (10**3, 10**4, 10**5, 10**6, 10**7)
#: Steps that are timed together: as many as one computed block of the order serves (`gentoolkit.training.plan`).
STEPS = 256


def measure(quick: bool) -> list[Row]:
    """Return memory and step time over those of the smallest dataset; `quick` takes the smallest and the largest."""
    sizes, rounds = ((SIZES[0], SIZES[-1]), 2) if quick else (SIZES, 5)
    rows = relative("step", seconds_of_step(sizes, rounds), "ms", 1e3)
    if not STATUS.exists():
        print(f"  memory is left out: it is read from {STATUS}, which only Linux has", file=sys.stderr)
        return rows
    return relative("memory of a run", memory_of_run(sizes, min(rounds, 3)), "MiB", 2**-20) + rows


def memory_of_run(sizes: Sequence[int], rounds: int) -> dict[int, list[float]]:
    """Return for each number of samples by how many bytes a whole run grows, one a round."""
    grown: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            grown[size].append(growth_of_child("benchmarks.scale", str(size)))
    return grown


def seconds_of_step(sizes: Sequence[int], rounds: int) -> dict[int, list[float]]:
    """Time a network so small that the data and their order are much of the work: size -> seconds, one a round."""
    long = f"train.steps={10**9}"  # so that the schedule has a learning rate for every step
    bursts = {str(size): burst(step_of(recipe_of(size, long), precisions()[0])) for size in sizes}
    times = interleaved(bursts, rounds)
    return {size: [seconds / STEPS for seconds in times[str(size)]] for size in sizes}


def recipe_of(num_samples: int, *overrides: str) -> Recipe:
    """Return the smoke recipe on so many samples, with a batch of 64."""
    path = Path(__file__).parents[1] / "recipes" / "smoke.yaml"
    return load_recipe(path, ["device=cpu", "train.batch_size=64", f"dataset.num_samples={num_samples}", *overrides])


def burst(step: Callable[[], None]) -> Callable[[], None]:
    """Return what takes `STEPS` steps."""

    def steps() -> None:
        for _ in range(STEPS):
            step()

    return steps


def relative(what: str, measured: Mapping[int, list[float]], unit: str, factor: float) -> list[Row]:
    """Return each size's values over those of the smallest; the note has the medians times `factor`, in `unit`."""
    smallest = min(measured)
    return [
        ratio(
            SECTION,
            f"{what}, {size:,} / {smallest:,} samples",
            values,
            measured[smallest],
            f"{factor * median(values):.1f} and {factor * median(measured[smallest]):.1f} {unit}",
        )
        for size, values in measured.items()
        if size != smallest
    ]


def main(num_samples: int) -> None:
    """Print by how many bytes a whole run (train, save, sample, evaluate, draw) raises this process's peak."""
    from gentoolkit.pipeline import run
    from gentoolkit.plugins import load_plugins

    plugins, recipe = load_plugins(), recipe_of(num_samples)
    with tempfile.TemporaryDirectory() as folder:
        print(growth(lambda: run(recipe, folder, plugins=plugins)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
