"""The shipped recipes train as they did before components had slots.

`fixtures/losses_of_version_1.json` was written by the code of commit e5f0613 from recipes of version 1: the losses of
every sample, the gradient norms and the final weights of ten steps in float64, for the batches, x0 and draws below.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.utils import clip_grad_norm_

from gentoolkit.devices import Placement
from gentoolkit.pipeline import Model
from gentoolkit.pipeline.work import plan_of, state_of
from gentoolkit.protocols import Batch, TrainingContext
from gentoolkit.randomness import BatchGenerator, normal_rows
from gentoolkit.recipe import load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
EARLIER = json.loads((Path(__file__).parent / "fixtures" / "losses_of_version_1.json").read_text())
STEPS, ROWS = 10, 8
#: What has another name since then, and what the recipe has changed.
RENAMED = {"train.warmup_steps": "train.schedule.warmup_steps"}
CHANGED = {"dit_flow": ["train.optimizer.iterations=4"]}


class DoubleGenerator(BatchGenerator):
    """The same draws in float64."""

    def uniform(self, *shape):
        return super().uniform(*shape).double()

    def stratified(self):
        return super().stratified().double()


class Double(Placement):
    matrix_dtype = torch.float64


@pytest.mark.parametrize("name", EARLIER)
def test_ten_steps_are_the_same(name):
    overrides = [override.partition("=") for override in EARLIER[name]["overrides"]]
    renamed = ["".join([RENAMED.get(path, path), *rest]) for path, *rest in overrides]
    recipe = load_recipe(RECIPES / f"{name}.yaml", renamed + CHANGED.get(name, []))
    model = Model.build(recipe)
    model.backbone.double()
    state = state_of(model, Double(model.device))
    data = model.splits["train"]
    plan = plan_of(recipe, len(data))
    losses, norms = [], []
    for step in range(STEPS):
        samples = data.batch(plan.indices(step))
        x0 = normal_rows(recipe.seed, "fixture", np.arange(ROWS), recipe.spec.shape, step)
        batch = Batch(samples.x1.double(), samples.condition, x0.double())
        context = TrainingContext(DoubleGenerator(recipe.seed, "objective", step, ROWS), step, STEPS)
        record = state.objective.loss(state.backbone, batch, context)
        record.loss.mean().backward()
        losses.append(record.loss.tolist())
        norms.append(clip_grad_norm_(state.parameters, recipe.train.clip_norm).item())
        state.optimizer.step(plan.rate(step))
        for parameter in state.parameters:
            parameter.grad = None
        state.update_ema()
    # Measured: 7e-12 with AVX2 instead of AVX-512. Without vector instructions (ATEN_CPU_CAPABILITY=default), times in
    # float32 are rounded differently, which changes the losses by 1e-8.
    np.testing.assert_allclose(losses, EARLIER[name]["losses"], rtol=1e-6)
    np.testing.assert_allclose(norms, EARLIER[name]["gradient_norms"], rtol=1e-6)
    weights = {key: [p.sum().item(), p.norm().item()] for key, p in state.weights.named_parameters()}
    assert weights.keys() == EARLIER[name]["weights"].keys()
    for key, value in EARLIER[name]["weights"].items():
        np.testing.assert_allclose(weights[key], value, rtol=1e-6, atol=1e-6, err_msg=key)
