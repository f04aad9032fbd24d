"""On a processor without bf16 instructions, no shipped recipe computes anything in bf16, the optimizer included."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from building import own_data
from gentoolkit.devices import Placement

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
PROGRAM = """
import sys
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from gentoolkit.pipeline.work import Work
from gentoolkit.recipe import load_recipe
from gentoolkit.training.loop import training_step

class Watch(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.low, self.calls = set(), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.calls += 1
        if any(isinstance(part, torch.Tensor) and part.dtype == torch.bfloat16 for part in tree_leaves(result)):
            self.low.add(str(function))
        return result

path, precision, *data = sys.argv[1:]
work = Work.prepare(load_recipe(path, [
    "train.batch_size=4", "train.steps=200", "train.epochs=null", "sampler.num_steps=1", f"train.precision={precision}",
    "evaluate.per_class=2", "evaluate.validation_samples=2", *data,
]))
with Watch() as watch:
    batches = work.model.pairs().of_step(work.plan, 0, work.placement.device)
    training_step(work.state, batches, work.plan, work.placement)
    work.model.sample(1)
    work.model.validate()
assert watch.calls > 100
print("in bf16:", *sorted(watch.low))
"""


def in_bf16(recipe, precision):
    """Return the names of torch's operators that gave a bf16 tensor in a step, a sample and a validation."""
    without = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
    program = [sys.executable, "-c", PROGRAM, str(recipe), precision, *own_data(recipe)]
    done = subprocess.run(program, env=os.environ | without, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].removeprefix("in bf16:").split()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_takes_no_bf16_path(recipe):
    assert in_bf16(recipe, "auto") == []


def test_the_watch_sees_bf16():
    assert in_bf16(RECIPES[0], "bf16")


def test_an_optimizer_multiplies_in_bf16_only_where_there_are_instructions_for_it(monkeypatch):
    cpu = torch.device("cpu")
    for has in (True, False):
        monkeypatch.setattr("gentoolkit.devices.has_bf16", lambda device, has=has: has)
        assert Placement(cpu, "fp32").matrix_dtype == torch.float32
        assert Placement(cpu, "bf16").matrix_dtype == (torch.bfloat16 if has else torch.float32)
