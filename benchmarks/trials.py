"""What each setting of `recipes/dit_flow.yaml` is worth: the recipe with one thing changed, on a seed for tuning.

python -m benchmarks.trials [--seed 101] [--only NAME ...] [--json FILE] [OVERRIDE ...]

Each trial is one `gentool run`. Its training time stands beside that of the recipe as it is, which is run first.
Further overrides hold for all trials.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.time_to_quality import Outcome, run

#: The plugin in `benchmarks/experiments`: what no recipe option does.
EXPERIMENTS = "gentoolkit-experiments"
#: Name -> what is changed.
TRIALS: dict[str, Sequence[str]] = {
    "as it is": (),
    "half of the steps": ("train.steps=70",),
    "AdamW alone": ("train.optimizer=adamw", "train.learning_rate=2e-3"),
    "Muon's momentum 0.95": ("train.matrix_momentum=0.95",),
    "no average": ("train.ema_decay=null",),
    "average of 0.8": ("train.ema_decay=0.8",),
    "positions from N(0, 0.02²)": ("backbone.position=normal",),
    "time not scaled": ("backbone.time_scale=1.0",),
    "time scaled by 1000": ("backbone.time_scale=1000.0",),
    "all tokens, batch 16": ("objective.tokens=null", "train.batch_size=16"),
    "32 tokens, batch 128": ("objective.tokens=32", "train.batch_size=128"),
    "batch 32, 225 steps": ("train.batch_size=32", "train.steps=225"),
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
    "tokens growing from 16 to 112": (
        f"objective.type={EXPERIMENTS}/growing",
        "objective.tokens=16",
        "objective.last_tokens=112",
    ),
    "learned skip from input to output": (f"backbone.type={EXPERIMENTS}/skip",),
}


HEAD = (
    "| changed | training time | validation loss | above optimum | RMSE of means | SW2 | residual |\n"
    "| --- | --- | --- | --- | --- | --- | --- |\n"
)


def line(name: str, trial: Outcome, base: Outcome) -> str:
    """Return a row of the table in Markdown."""
    excess, time = trial.loss - trial.optimum, trial.train_seconds / base.train_seconds
    quality = (
        f"{trial.loss:.4f} | {excess:.4f} | {trial.rmse:.4f} | {trial.wasserstein:.4f} | {trial.residual_ratio:.2f}"
    )
    return f"| {name} | {time:.2f} | {quality} |"


def main() -> None:
    """Run the trials and print their table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=101, help="another one than those of reported figures")
    parser.add_argument("--only", nargs="+", choices=TRIALS, metavar="NAME", default=list(TRIALS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="such as train.steps=100")
    options = parser.parse_args()
    if importlib.util.find_spec(EXPERIMENTS.replace("-", "_")) is None:
        parser.error(f"{EXPERIMENTS} is not installed: pip install --editable benchmarks/experiments (or make bench)")
    print(HEAD, end="", flush=True)
    outcomes: dict[str, Outcome] = {}
    for name in dict.fromkeys(["as it is", *options.only]):
        outcomes[name] = run(options.seed, [*options.overrides, *TRIALS[name]])
        print(line(name, outcomes[name], outcomes["as it is"]), flush=True)
        if options.json:
            figures: dict[str, Any] = {name: vars(outcome) for name, outcome in outcomes.items()}
            options.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
