"""How long `recipes/dit_flow.yaml` takes to the quality of the reference recipe, beside a plain script's time for it.

python -m benchmarks.time_to_quality [--seeds 42 43 44] [--json FILE] [OVERRIDE ...]

Each seed is one `gentool run` in a fresh process. The plain script's steps are timed before and after every run; its
time is the median step times the 1,550 steps of the reference recipe's 50 epochs. Tune on other seeds than these.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.plain_script import PlainTraining
from benchmarks.reference import training_data
from benchmarks.steps import WARM_UP
from benchmarks.timing import seconds
from gentoolkit.records import Evaluation, Finished, last
from gentoolkit.rundir import RunDir

#: The reference was evaluated on so many samples; the recipe by itself takes fewer.
SAMPLES = "evaluate.per_class=32"
RECIPE = Path(__file__).parents[1] / "recipes" / "dit_flow.yaml"
PLAIN_STEPS, PLAIN_BATCH = 1550, 64
#: Where the reference recipe ends after its 50 epochs, as the plain script trained it.
REFERENCE_LOSS, REFERENCE_RMSE = 0.0614, 0.0097
#: Plain steps timed before the first run and after every run.
PLAIN_TIMED = 3


@dataclass(frozen=True)
class Outcome:
    """What one run reached, and when.

    Attributes:
        seed: The recipe's seed: of data, weights and all draws.
        train_seconds: Wall time of the training.
        command_seconds: Wall time of the whole command: start-up, training, samples, figures and page.
        loss: Validation loss, in fp32 at fixed stratified times and noise.
        reference_loss: That of the exact field, on the same samples, times and noise.
        rmse: RMSE of the class means.
        wasserstein: Sliced Wasserstein-2.
        exact_wasserstein: That of the exact field with the same sampler and noise.
        residual_ratio: Deviation from the class mean over the real one.
    """

    seed: int
    train_seconds: float
    command_seconds: float
    loss: float
    reference_loss: float
    rmse: float
    wasserstein: float
    exact_wasserstein: float
    residual_ratio: float

    @property
    def reached(self) -> bool:
        """Whether it is as good as the reference after its 50 epochs, by all three figures."""
        return (
            self.loss <= REFERENCE_LOSS
            and self.rmse <= 1.1 * REFERENCE_RMSE
            and self.wasserstein <= self.exact_wasserstein
        )


def run(seed: int, overrides: Sequence[str]) -> Outcome:
    """Run the recipe in a fresh process; where that fails, exit with its message."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "gentoolkit", "run", str(RECIPE), "--out", folder, f"seed={seed}", SAMPLES]
        start = time.perf_counter()
        done = subprocess.run([*command, *overrides], capture_output=True, text=True, check=False)
        elapsed = time.perf_counter() - start
        if done.returncode:
            sys.exit(done.stderr)
        (directory,) = Path(folder).iterdir()
        return outcome(seed, elapsed, RunDir.open(directory))


def outcome(seed: int, command_seconds: float, directory: RunDir) -> Outcome:
    """Return the figures of a finished run."""
    records = directory.records()
    evaluation: Any = last(records, Evaluation)
    finished: Any = last(records, Finished)
    losses, metrics = evaluation.validation, {metric.name: metric for metric in evaluation.metrics}
    return Outcome(
        seed,
        finished.seconds["train"],
        command_seconds,
        losses.loss,
        losses.reference.loss,
        metrics["class_mean_rmse"].value,
        metrics["sliced_wasserstein"].value,
        metrics["sliced_wasserstein"].reference,
        metrics["residual_std_ratio"].value,
    )


def measure(seeds: Sequence[int], overrides: Sequence[str]) -> dict[str, Any]:
    """Return the outcomes and the plain script's step times as plain JSON data; show each line when it is there."""
    plain = PlainTraining(training_data(), PLAIN_BATCH)
    for _ in range(WARM_UP):
        plain.step()
    steps = [seconds(plain.step) for _ in range(PLAIN_TIMED)]
    outcomes: list[Outcome] = []
    print(HEADER, flush=True)
    for seed in seeds:
        outcomes.append(run(seed, overrides))
        steps += [seconds(plain.step) for _ in range(PLAIN_TIMED)]
        print(line(outcomes[-1], statistics.median(steps[-2 * PLAIN_TIMED :]) * PLAIN_STEPS), flush=True)
    return {"plain_step_seconds": steps, "outcomes": [vars(o) | {"reached": o.reached} for o in outcomes]}


HEADER = "seed  reached  validation loss (exact)    RMSE    SW2 (exact field)  residual  train      whole command"


def line(o: Outcome, plain: float) -> str:
    """Return a line of the table: figures, and how many times the plain script would take, `plain` seconds."""
    return (
        f"{o.seed:4}  {'yes' if o.reached else 'no':7}  {o.loss:.4f} ({o.reference_loss:.4f})           {o.rmse:.4f}  "
        f"{o.wasserstein:.4f} ({o.exact_wasserstein:.4f})    {o.residual_ratio:.2f}      "
        f"1/{plain / o.train_seconds:<7.0f}  1/{plain / o.command_seconds:.0f}"
    )


def main() -> int:
    """Run every seed, show the table, and return 1 where one did not reach the reference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[42, 43, 44])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="such as train.steps=100")
    options = parser.parse_args()
    measured = measure(options.seeds, options.overrides)
    if options.json:
        options.json.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    ratios = [
        statistics.median(measured["plain_step_seconds"]) * PLAIN_STEPS / o["train_seconds"]
        for o in measured["outcomes"]
    ]
    print(
        f"training takes 1/{statistics.median(ratios):.0f} of the plain script's time, "
        f"1/{min(ratios):.0f} to 1/{max(ratios):.0f}"
    )
    return 0 if all(o["reached"] for o in measured["outcomes"]) else 1


if __name__ == "__main__":
    sys.exit(main())
