"""Time a training step of the reference recipe against a plain script: A B A B, ratios with their spread.

python -m benchmarks [--rounds 5] [--batch-size 64] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import gentoolkit as gt
from benchmarks.plain_script import PlainTraining
from gentoolkit.devices import has_bf16
from gentoolkit.pipeline import Model
from gentoolkit.provenance import hardware
from gentoolkit.training import Plan, TrainingState
from gentoolkit.training.loop import training_step

REFERENCE = Path(__file__).parents[1] / "recipes" / "dit_flow_reference.yaml"
CPU = torch.device("cpu")


def our_step(precision: str, batch_size: int) -> Callable[[], Any]:
    """Return one whole step of the reference recipe, data and EMA included, in "fp32" or "bf16"."""
    recipe = gt.load_recipe(REFERENCE, [f"train.batch_size={batch_size}", "device=cpu"])
    model = Model.build(recipe)
    data = model.dataset("train")
    state = TrainingState(model.backbone, model.objective, recipe.train)
    plan = Plan(recipe.train, len(data), recipe.seed)

    def step() -> None:
        training_step(state, data, model.spec, plan, CPU, precision)
        state.step += 1

    return step


def seconds(step: Callable[[], Any]) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed, in turn")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--json", type=Path, help="where to write the ratios")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    precisions = ["fp32", *(["bf16"] if has_bf16(CPU) else [])]
    contenders = {"plain": PlainTraining(arguments.batch_size).step}
    contenders |= {precision: our_step(precision, arguments.batch_size) for precision in precisions}
    for step in contenders.values():
        step()  # the first step allocates
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(arguments.rounds):
        for name, step in contenders.items():
            times[name].append(seconds(step))
    result: dict[str, Any] = {"hardware": hardware(CPU), "batch_size": arguments.batch_size, "speedup": {}}
    print(f"a training step of the reference recipe, batch {arguments.batch_size}, against the plain fp32 script:")
    for precision in precisions:
        ratios = sorted(a / b for a, b in zip(times["plain"], times[precision], strict=True))
        median = statistics.median(ratios)
        result["speedup"][precision] = {"median": median, "smallest": ratios[0], "largest": ratios[-1]}
        print(f"  ours in {precision}: {median:.2f} times as fast ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
