"""The 2-D toy: eight Gaussians on a circle and a small perceptron, as components of a recipe."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from gentoolkit.api import BackboneConfig, Component, DatasetConfig, DataSpec
from gentoolkit.pipeline import Model
from gentoolkit.plugins import load_plugins
from gentoolkit.protocols import Batch
from gentoolkit.randomness import numpy_generator
from gentoolkit.recipe import Recipe, parse_recipe
from gentoolkit.registry import Entry

BATCH_SIZE = 256
RECIPE = f"""
version: 2
name: toy
dataset: {{type: benchmarks/eight_gaussians}}
backbone: {{type: benchmarks/perceptron}}
objective: {{type: flow_matching}}
sampler: {{type: euler, num_steps: 20}}
train: {{steps: 100000, batch_size: {BATCH_SIZE}, optimizer: {{learning_rate: 1e-3}}, precision: fp32}}
"""


class EightGaussiansConfig(DatasetConfig):
    """Points (2,) around eight centres on a circle of radius 2, without labels."""

    num_samples: int = Field(default=100_000, ge=1)
    noise_level: float = Field(default=0.2, gt=0)
    """Standard deviation around each center, in both directions."""

    def spec(self) -> DataSpec:
        return DataSpec(shape=(2,))


class EightGaussians:
    """All points are drawn at once, keyed by (seed, split): a toy's data fits the memory, and a batch is a look-up."""

    def __init__(self, config: EightGaussiansConfig, split: str, seed: int) -> None:
        draw = numpy_generator(seed, f"eight gaussians, {split}")
        angles = 2 * np.pi / 8 * draw.integers(8, size=config.num_samples)
        centres = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        points = centres + config.noise_level * draw.standard_normal(centres.shape)
        self.points = torch.from_numpy(points.astype(np.float32))

    def __len__(self) -> int:
        return len(self.points)

    def batch(self, indices: np.ndarray) -> Batch:
        """Return x1 (B, 2) float32."""
        return Batch(self.points[torch.from_numpy(indices)])


class PerceptronConfig(BackboneConfig):
    """A perceptron on (x_t, t)."""

    width: int = Field(default=128, ge=1)
    depth: int = Field(default=3, ge=1)
    """Number of hidden layers."""


class Perceptron(nn.Module):
    """Linear layers with SiLU between them; t is one more input."""

    def __init__(self, config: PerceptronConfig, spec: DataSpec, needs: frozenset[str]) -> None:
        super().__init__()
        (dims,) = spec.shape
        widths = [dims + 1, *[config.width] * config.depth]
        hidden = [layer for n, m in pairwise(widths) for layer in (nn.Linear(n, m), nn.SiLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(config.width, dims))

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the output (B, D) for x_t (B, D) and t (B,)."""
        return self.layers(torch.cat([x_t, t[:, None]], dim=1))

    def matrix_blocks(self) -> dict[str, int]:
        return {}


COMPONENTS = (
    Component(
        "eight_gaussians",
        EightGaussiansConfig,
        f"{__name__}:EightGaussians",
        tiny={"num_samples": 16},
    ),
    Component(
        "perceptron",
        PerceptronConfig,
        f"{__name__}:Perceptron",
        tiny={"width": 8, "depth": 1},
        tiny_spec=DataSpec(shape=(2,)),
    ),
)


def toy_recipe(*overrides: str) -> Recipe:
    """Return the toy's recipe with overrides such as "train.batch_size=64"."""
    registry = load_plugins().registry
    registry.add(*(Entry(f"benchmarks/{part.name}", part, "benchmarks", "0") for part in COMPONENTS))
    return parse_recipe(RECIPE, "toy", overrides, registry)


def toy_model(*overrides: str) -> Model:
    """Return the toy's parts, built."""
    return Model.build(toy_recipe("device=cpu", *overrides))
