"""A plugin for tests: points in the plane, a backbone for any condition, two unusual samplers and an observer."""

from typing import Literal

import numpy as np
import torch
from torch import nn

from gentoolkit.api import (
    Array,
    BackboneConfig,
    Component,
    DatasetConfig,
    DataSpec,
    Labels,
    ObserverConfig,
    SamplerConfig,
    hookimpl,
)
from gentoolkit.observers import Observer
from gentoolkit.protocols import Batch
from gentoolkit.randomness import numpy_generator

Mode = Literal["none", "labels", "vectors", "paired", "paired labels"]
heard = []


class PointsConfig(DatasetConfig):
    mode: Mode = "none"
    held_out: int = 200
    sequence: bool = False

    def spec(self):
        conditions = {"labels": Labels(2), "paired labels": Labels(2), "vectors": Array((3,))}
        return DataSpec(
            (1, 2) if self.sequence else (2,),
            conditions.get(self.mode),
            None,
            self.mode.startswith("paired"),
            gaussian=self.mode == "labels",
        )


class Points:
    """Gaussian points; three in ten have label 1."""

    def __init__(self, config, split, seed):
        self.config, self.seed = config, seed
        self.first, self.count = (0, 100) if split == "train" else (100, config.held_out)

    def __len__(self):
        return self.count

    def batch(self, indices):
        rows = [numpy_generator(self.seed, "points", int(i) + self.first).standard_normal(8) for i in indices]
        values = torch.from_numpy(np.stack(rows).astype(np.float32))
        labels = (values[:, 2] > 0.5).long()
        condition = {"labels": labels, "paired labels": labels, "vectors": values[:, 3:6]}.get(self.config.mode)
        x1 = values[:, None, :2] if self.config.sequence else values[:, :2]
        return Batch(x1, condition, values[:, 6:] if self.config.mode.startswith("paired") else None)


class PerceptronConfig(BackboneConfig):
    width: int = 16


class Perceptron(nn.Module):
    def __init__(self, config, spec, needs=frozenset()):
        super().__init__()
        self.first, self.last = nn.Linear(3, config.width), nn.Linear(config.width, 2)
        match spec.condition:
            case Labels(count, droppable):
                self.condition = nn.Embedding(count + droppable, config.width)
            case Array(shape):
                self.condition = nn.Linear(*shape, config.width)
            case None:
                self.condition = lambda c: 0

    def forward(self, x_t, t, condition=None):
        hidden = self.first(torch.cat([x_t, t[:, None]], dim=1)) + self.condition(condition)
        return self.last(torch.tanh(hidden))


class NoisyConfig(SamplerConfig):
    num_steps: int = 4


class Noisy:
    order = tolerance = None

    def __init__(self, config):
        self.n = self.nfe = config.num_steps
        self.times = tuple(k / self.n for k in range(self.n))

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        observe, x = on_step or (lambda t, x: None), x0
        observe(0.0, x)
        for k in range(self.n):
            x = (
                x
                + field.velocity(x, torch.full((len(x),), k / self.n), condition) / self.n
                + 0.1 * noise(k / self.n, (k + 1) / self.n)
            )
            observe((k + 1) / self.n, x)
        return x


class RestlessConfig(SamplerConfig):
    pass


class Restless:
    """Takes a number of steps that depends on the batch, as adaptive samplers do."""

    order = times = nfe = None
    tolerance = 1.0

    def __init__(self, config):
        pass

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        observe, x, n = on_step or (lambda t, x: None), x0, 2 + int(x0.abs().sum() * 7) % 9
        observe(0.0, x)
        for k in range(n):
            x = x + field.velocity(x, torch.full((len(x),), k / n), condition) / n
            observe((k + 1) / n, x)
        return x


class RecorderConfig(ObserverConfig):
    pass


class Recorder(Observer):
    """Appends what it hears to `heard`."""

    def __init__(self, config, directory):
        self.directory = str(directory)

    def hear(self, *event):
        heard.append((self.directory, *event))

    def started(self, recipe, step):
        self.hear("started", recipe["name"], step)

    def step(self, step, values):
        self.hear(step, set(values))

    def validation(self, step, values):
        self.hear("validation", step, set(values))

    def checkpoint(self, step, checkpoint):
        self.hear("checkpoint", step, checkpoint)

    def samples(self, file):
        self.hear("samples", file)

    def finished(self, results):
        self.hear("finished", results["evaluation"]["step"])

    def failed(self, error):
        self.hear("failed", error)

    def close(self):
        self.hear("closed")


@hookimpl
def gentoolkit_components():
    spec = DataSpec((2,), Labels(2, droppable=True))
    yield Component("points", PointsConfig, f"{__name__}:Points")
    yield Component("perceptron", PerceptronConfig, f"{__name__}:Perceptron", tiny_spec=spec)
    yield Component("noisy", NoisyConfig, f"{__name__}:Noisy", traits=frozenset({"stochastic"}))
    yield Component("restless", RestlessConfig, f"{__name__}:Restless", traits=frozenset({"adaptive"}))
    yield Component("recorder", RecorderConfig, f"{__name__}:Recorder")
