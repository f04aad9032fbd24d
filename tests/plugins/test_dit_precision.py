"""Trained in bf16, the DiT's losses follow those in float32."""

from functools import cache

import pytest
import torch

from gentoolkit.devices import Placement
from gentoolkit.pipeline import Model
from gentoolkit.pipeline.work import plan_of, state_of
from gentoolkit.recipe import parse_recipe
from gentoolkit.training.loop import training_step

RECIPE = """
version: 2
name: small
seed: {seed}
device: cpu
dataset: {{type: patterns, num_samples: 256, image_size: 8, channels: 2}}
backbone: {{type: dit, hidden_size: 64, depth: 2, num_heads: 2, time_scale: 1000.0, position: sincos}}
objective: {{type: flow_matching, stratified: true}}
sampler: {{type: euler}}
train:
  steps: 40
  batch_size: 32
  optimizer: {{type: muon, learning_rate: 0.04, rest: {{learning_rate: 6e-3}}}}
  schedule: {{warmup_steps: 10}}
"""


@cache
def losses(precision: str, seed: int) -> torch.Tensor:
    """Return the loss of each training step, (40,)."""
    recipe = parse_recipe(RECIPE.format(seed=seed), "small")
    model = Model.build(recipe)
    placement = Placement(model.device, precision)
    state = state_of(model, placement)
    plan, pairs = plan_of(recipe, len(model.splits["train"])), model.pairs()
    means = []
    while state.step < plan.total_steps:
        result = training_step(state, pairs.of_step(plan, state.step, model.device), plan, placement)
        means.append(torch.cat(result.losses).mean())
        state.step += 1
    return torch.stack(means)


@pytest.mark.parametrize("seed", [1, 2])
def test_losses_in_bf16_follow_those_in_float32(seed):
    fp32, bf16 = losses("fp32", seed), losses("bf16", seed)
    deviation = bf16 / fp32 - 1
    assert fp32[-1] < fp32[0] / 2  # it is a run that learns
    # Three times the largest of seeds 1 to 12: 6e-5 with equal weights, 0.95 % in any step, 0.22 % for the last 20.
    assert deviation[0].abs() < 2e-4
    assert deviation.abs().max() < 0.03
    assert deviation[-20:].mean().abs() < 0.007
