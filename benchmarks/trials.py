"""What each setting of `recipes/dit_flow.yaml` is worth: the recipe with one thing changed, on a seed for tuning.

python -m benchmarks.trials [--seed 101] [--only NAME ...] [--json FILE] [OVERRIDE ...]

Each trial is one `gentool run`; further overrides hold for all. `make trials` runs them all, in about 40 minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.time_to_quality import Outcome, run

#: The plugin in `benchmarks/experiments`: what no recipe option does.
EXPERIMENTS = "gentoolkit-experiments"
HEAD = (
    "| changed | training time | validation loss | above reference | RMSE of means | SW2 | residual |\n"
    "| --- | --- | --- | --- | --- | --- | --- |\n"
)
#: Name -> what is changed. The recipe as it is comes twice, first and last, to show the spread of the times.
TRIALS: dict[str, Sequence[str]] = {
    "as it is": (),
    "half of the steps": ("train.steps=90",),
    "AdamW alone": ("train.optimizer=adamw", "train.learning_rate=2e-3"),
    "Muon's momentum 0.95": ("train.matrix_momentum=0.95",),
    "5 iterations in Muon": ("train.matrix_iterations=5",),
    "3 iterations in Muon": ("train.matrix_iterations=3",),
    "no average": ("train.ema_decay=null",),
    "average of 0.8": ("train.ema_decay=0.8",),
    "positions from N(0, 0.02²)": ("backbone.position=normal",),
    "time not scaled": ("backbone.time_scale=1.0",),
    "time scaled by 1000": ("backbone.time_scale=1000.0",),
    "64 tokens throughout": ("objective.tokens=64",),
    "64 tokens, batch 64, 140 steps": ("objective.tokens=64", "train.batch_size=64", "train.steps=140"),
    "32 tokens, batch 64": ("objective.tokens=32", "train.batch_size=64"),
    "all tokens, batch 8": ("objective.tokens=null", "train.batch_size=8"),
    "tokens from 16 to 112 in seven parts": ("objective.tokens=[16,32,48,64,80,96,112]",),
    "tokens from 16 to 112 one by one": (f"objective.tokens={list(range(16, 113))}",),
    "batch 24": ("train.batch_size=24",),
    "weight power 0": ("objective.weight_power=0.0",),
    "weight power 2": ("objective.weight_power=2.0",),
    "uniform times": ("objective.times=uniform",),
    "Muon at 0.02": ("train.matrix_learning_rate=0.02",),
    "Muon at 0.08": ("train.matrix_learning_rate=0.08",),
    "AdamW part at 3e-3": ("train.learning_rate=3e-3",),
    "AdamW part at 1e-2": ("train.learning_rate=1e-2",),
    "cosine schedule": ("train.schedule=cosine",),
    "no clipping": ("train.clip_norm=null",),
    "weight decay 0.1": ("train.weight_decay=0.1",),
    "preconditioned, sigma_data 0.6": (f"objective.type={EXPERIMENTS}/preconditioned", "objective.sigma_data=0.6"),
    "preconditioned, sigma_data 0.2": (f"objective.type={EXPERIMENTS}/preconditioned", "objective.sigma_data=0.2"),
    "x1 predicted, 1 - t from 0.05": (f"objective.type={EXPERIMENTS}/denoised",),
    "logit-normal times": (f"objective.type={EXPERIMENTS}/logit_normal",),
    "logit-normal times, mean 1": (f"objective.type={EXPERIMENTS}/logit_normal", "objective.mean=1.0"),
    "learned skip from input to output": (f"backbone.type={EXPERIMENTS}/skip",),
    "as it is, again": (),
}


def table(outcomes: Mapping[str, Outcome]) -> str:
    """Return the outcomes by name as a table in Markdown; times are over the mean of the recipe as it is."""
    base = mean(trial.train_seconds for name, trial in outcomes.items() if not TRIALS[name])
    rows = [
        f"| {name} | {trial.train_seconds / base:.2f} | {trial.loss:.4f} | {trial.loss - trial.reference_loss:.4f} | "
        f"{trial.rmse:.4f} | {trial.wasserstein:.4f} | {trial.residual_ratio:.2f} |\n"
        for name, trial in outcomes.items()
    ]
    return HEAD + "".join(rows)


def main() -> None:
    """Run the trials and print their table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=101, help="another one than those of reported figures")
    parser.add_argument("--only", nargs="+", choices=TRIALS, metavar="NAME", default=list(TRIALS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="such as train.steps=100")
    options = parser.parse_args()
    if importlib.util.find_spec(EXPERIMENTS.replace("-", "_")) is None:
        parser.error(f"{EXPERIMENTS} is not installed: make trials installs it beside the environment and runs all")
    outcomes: dict[str, Outcome] = {}
    for number, name in enumerate(names := dict.fromkeys(["as it is", *options.only]), 1):
        print(f"{number} of {len(names)}: {name}", file=sys.stderr, flush=True)
        outcomes[name] = run(options.seed, [*options.overrides, *TRIALS[name]])
        if options.json:
            figures: dict[str, Any] = {name: vars(outcome) for name, outcome in outcomes.items()}
            options.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(outcomes), end="")


if __name__ == "__main__":
    main()
