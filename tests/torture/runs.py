"""Running `gentool` in processes that may be killed, and what its runs must come to."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from gentoolkit.cli import cli
from gentoolkit.cli.failures import exit_code_of

RECIPE = Path(__file__).parents[2] / "recipes" / "smoke.yaml"
STEPS = 6
OVERRIDES = (
    f"train.steps={STEPS}",
    "train.schedule.warmup_steps=0",
    "train.checkpoint_every=2",
    "train.validate_every=3",
    "train.batch_size=8",
    "sample.per_class=1",
    "evaluate.per_class=2",
    "evaluate.validation_samples=4",
    "metrics=[{type: class_mean_rmse}]",
)
#: What an uninterrupted run records; further rows say when it was resumed and how long it took.
EVENTS = ("step", "epoch", "validation", "evaluation")


class TortureError(AssertionError):
    """A run did what no run may do."""


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    Attributes:
        code: Its exit code, or minus the signal that ended it.
        output: All that it printed.
        seconds: Processor time that it took.
    """

    code: int
    output: str
    seconds: float


def in_child(action: Callable[[], int]) -> Outcome:
    """Fork, run the action in the child, and return how it ended. Importing torch for each would take seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            code = 99
            try:
                for stream in (1, 2):
                    os.dup2(output.fileno(), stream)
                code = action()
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        text = output.read().decode(errors="replace")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Outcome(os.waitstatus_to_exitcode(status), text, seconds)


def preload(out: Path) -> None:
    """Import in this process whatever a run imports, so that its forks need not."""
    names = out / "names"

    def action() -> int:
        code = new_run(out)()
        names.write_text("\n".join(sorted(sys.modules)))
        return code

    require_clean(in_child(action), {0})
    for name in names.read_text().split():
        with suppress(Exception):  # some can only be imported by others
            import_module(name)
    shutil.rmtree(out)


def gentool(*arguments: object) -> Callable[[], int]:
    """Return an action that runs `gentool` and returns its exit code."""

    def action() -> int:
        sys.argv = ["gentool", *map(str, arguments)]
        return exit_code_of(cli)

    return action


def new_run(out: Path) -> Callable[[], int]:
    """Return an action that runs the whole recipe."""
    return gentool("run", RECIPE, *OVERRIDES, "--out", out)


def require(condition: bool, message: str, outcome: Outcome) -> None:
    """Raise TortureError with all that was printed, unless the condition holds."""
    if not condition:
        raise TortureError(f"{message}; exit code {outcome.code}, output:\n{outcome.output}")


def require_clean(outcome: Outcome, codes: set[int]) -> None:
    """Demand one of the exit codes, no traceback, and a word about any failure."""
    require("Traceback" not in outcome.output, "a traceback", outcome)
    require(outcome.code in codes, f"expected an exit code of {sorted(codes)}", outcome)
    require(outcome.code == 0 or "error: " in outcome.output, "a failure without a message", outcome)


def weights_of(run: Path) -> dict[str, str]:
    """Return the hash of each file of tensors in the last checkpoint."""
    folder = run / "checkpoints" / f"step-{STEPS}"
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.glob("*.safetensors"))}


def rows_of(run: Path) -> list[dict[str, object]]:
    """Return the rows that do not depend on when a run was interrupted, in order."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["event"] in EVENTS]


@dataclass(frozen=True)
class Reference:
    """The uninterrupted run."""

    path: Path
    seconds: float
    weights: dict[str, str]
    rows: list[dict[str, object]]

    @classmethod
    def make(cls, out: Path) -> Reference:
        outcome = in_child(new_run(out))
        require_clean(outcome, {0})
        run = out / "smoke-1"
        reference = cls(run, outcome.seconds, weights_of(run), rows_of(run))
        require(len(reference.weights) == 3, "the reference has no weights, averages and optimizer", outcome)
        require(
            {row["event"] for row in reference.rows} == set(EVENTS), "the reference lacks records to compare", outcome
        )
        return reference

    def require_weights(self, run: Path, outcome: Outcome) -> None:
        require(weights_of(run) == self.weights, f"other weights than without the interruption in {run}", outcome)

    def require_rows(self, run: Path, outcome: Outcome) -> None:
        require(rows_of(run) == self.rows, f"other records than without the interruption in {run}", outcome)


def was_killed(outcome: Outcome) -> bool:
    """Return whether one of our kills ended the process."""
    return outcome.code in (-signal.SIGKILL, -signal.SIGPROF)
