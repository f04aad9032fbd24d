"""Memory and step time from 10³ to 10⁷ samples, which both should not notice; and the cost of a step over its size.

python -m benchmarks.scale NUM_SAMPLES prints the memory that a whole small run takes on so much data, in bytes.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.cost import AXES, Cost, cost_rows, measure_cost
from benchmarks.memory import STATUS, held
from benchmarks.reference import precisions, step_of
from benchmarks.timing import Row, interleaved, ratio
from gentoolkit.recipe import Recipe, load_recipe

SECTION = "scale of data"
SIZES = (10**3, 10**4, 10**5, 10**6, 10**7)
#: Steps that are timed together: as many as one computed block of the order serves (`gentoolkit.training.plan`).
STEPS = 256
#: Where the pictures of benchmarks/README.md lie.
FIGURES = Path(__file__).with_name("figures")


@dataclass(frozen=True)
class DataScale:
    """What more data costs.

    Attributes:
        memory: Number of samples -> bytes that a whole run takes, one a round; empty where they can't be read.
        seconds: Number of samples -> seconds of a training step, one a round.
    """

    memory: Mapping[int, list[float]]
    seconds: Mapping[int, list[float]]


@dataclass(frozen=True)
class Result:
    """All that this section measures."""

    data: DataScale
    cost: Cost


def measure(quick: bool, folder: Path = FIGURES) -> list[Row]:
    """Measure both, draw them into `folder`, and return the ratios; `quick` takes few sizes and draws nothing."""
    if quick:
        smallest = {axis: values[:1] for axis, values in AXES.items()}
        result = Result(measure_data(2, (SIZES[0], SIZES[-1])), measure_cost(2, smallest))
    else:
        result = Result(measure_data(5), measure_cost(5))
        for file in draw(result, folder):
            print(f"drawn: {file}", file=sys.stderr)
    return [*data_rows(result.data), *cost_rows(result.cost)]


def draw(result: Result, folder: Path) -> list[Path]:
    """Draw what was measured as PNG files into `folder`, which is made, and return them."""
    from benchmarks.drawing import draw_cost, draw_data

    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "scale_data.png", folder / "scale_cost.png"]
    draw_data(result.data.memory, result.data.seconds, files[0])
    draw_cost(result.cost, files[1])
    return files


def measure_data(rounds: int, sizes: Sequence[int] = SIZES) -> DataScale:
    """Measure runs and steps of a network so small that the data and their order are much of the work."""
    precision = precisions()[0]
    bursts = {str(size): burst(step_of(recipe_of(size), precision)) for size in sizes}
    times = interleaved(bursts, rounds)
    memory: dict[int, list[float]] = {}
    if STATUS.exists():
        memory = {size: [] for size in sizes}
        for _ in range(min(rounds, 3)):  # it hardly varies
            for size in sizes:
                memory[size].append(growth_of_child(size))
    else:
        print(f"  memory is left out: it is read from {STATUS}, which only Linux has", file=sys.stderr)
    return DataScale(memory, {size: [s / STEPS for s in times[str(size)]] for size in sizes})


def recipe_of(num_samples: int) -> Recipe:
    """Return the smoke recipe on so many samples, with a batch of 64."""
    path = Path(__file__).parents[1] / "recipes" / "smoke.yaml"
    return load_recipe(path, ["device=cpu", "train.batch_size=64", f"dataset.num_samples={num_samples}"])


def burst(step: Callable[[], None]) -> Callable[[], None]:
    """Return what takes `STEPS` steps."""

    def steps() -> None:
        for _ in range(STEPS):
            step()

    return steps


def growth_of_child(num_samples: int) -> int:
    """Return the growth in bytes that a fresh process measures."""
    command = [sys.executable, "-m", "benchmarks.scale", str(num_samples)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def growth(num_samples: int) -> int:
    """Return by how much a whole run (train, save, sample, measure, draw) raises this process's peak, in bytes."""
    from gentoolkit.pipeline import run
    from gentoolkit.plugins import load_plugins

    plugins, recipe = load_plugins(), recipe_of(num_samples)
    gc.collect()
    before = held("VmRSS")
    with tempfile.TemporaryDirectory() as folder:
        run(recipe, folder, plugins=plugins)
    return held("VmHWM") - before


def data_rows(data: DataScale) -> list[Row]:
    """Return memory and step time of each size over those of the smallest."""
    rows = []
    for what, measured, unit, factor in (
        ("memory of a run", data.memory, "MiB", 2**-20),
        ("step", data.seconds, "ms", 1e3),
    ):
        smallest = min(measured, default=0)
        for size in list(measured)[1:]:
            name = f"{what}, {size:,} / {smallest:,} samples"
            note = f"{factor * median(measured[size]):.1f} and {factor * median(measured[smallest]):.1f} {unit}"
            rows.append(ratio(SECTION, name, measured[size], measured[smallest], note))
    return rows


if __name__ == "__main__":
    print(growth(int(sys.argv[1])))
