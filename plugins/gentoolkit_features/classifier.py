"""The last hidden layer of a small classifier that is trained on the training split."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gentoolkit.api import DataSpec, Labels
from gentoolkit.protocols import Dataset
from gentoolkit.randomness import forked, numpy_generator

from . import ClassifierConfig
from .cache import cached, data_hash

#: Raised whenever the network or its training changes, so that no earlier weights are loaded.
VERSION = 2
BATCH_SIZE = 128
PEAK_LEARNING_RATE = 2e-3
#: Largest number of samples, and about the largest number of their values, that the mean and deviation are taken from.
MOST_SAMPLES, MOST_VALUES = 4096, 2**24


class ClassifierFeatures(nn.Module):
    """The last hidden layer of a classifier: convolutions for images (C, H, W), a perceptron for other samples.

    Its weights are those of the cache, if it has been trained with the same settings on the same data before. Training
    uses one thread, so that the weights do not depend on the number of threads.
    """

    preprocessing = "subtract one mean and divide by one standard deviation, of random samples of the training data"

    def __init__(self, config: ClassifierConfig, spec: DataSpec, seed: int, train: Dataset) -> None:
        super().__init__()
        assert isinstance(spec.condition, Labels)
        self.config, self.seed, self.shape = config, seed, spec.shape
        with forked(seed, "classifier features"):
            self.body = _body(spec.shape, config.width, config.num_features)
            self.head = nn.Linear(config.num_features, spec.condition.num_classes)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))
        self.mean: Tensor
        self.std: Tensor
        key = {
            "version": VERSION,
            "config": config.model_dump(mode="json"),
            "spec": [spec.shape, spec.condition.num_classes],
            "seed": seed,
            "data": data_hash(train),
        }
        self.load_state_dict(cached("classifier", key, lambda: self._trained(train)))
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last hidden layer for samples (N, *S): (N, F) float32."""
        return self.body((x - self.mean) / self.std)

    def classes(self, x: Tensor) -> Tensor:
        """Return the most likely labels, (N,) int64."""
        return self.head(self(x)).argmax(1)

    def _trained(self, train: Dataset) -> Mapping[str, Tensor]:
        """Minimize the cross entropy by Adam, with a learning rate that falls linearly. Return the weights."""
        count = max(1, min(MOST_SAMPLES, MOST_VALUES // math.prod(self.shape)))
        first = train.batch(self._rows(0, len(train), count)).x1.double()
        self.mean.copy_(first.mean())
        self.std.copy_(first.std().clamp(min=1e-6))
        optimizer = torch.optim.Adam(self.parameters(), lr=PEAK_LEARNING_RATE)
        with one_thread(), torch.enable_grad():
            for step in range(self.config.steps):
                optimizer.param_groups[0]["lr"] = PEAK_LEARNING_RATE * (1 - step / self.config.steps)
                batch = train.batch(self._rows(step + 1, len(train), BATCH_SIZE))
                optimizer.zero_grad()
                assert batch.condition is not None
                cross_entropy(self.head(self(batch.x1)), batch.condition).backward()
                optimizer.step()
        return self.state_dict()

    def _rows(self, step: int, total: int, count: int) -> NDArray[np.int64]:
        return numpy_generator(self.seed, "classifier features", step).integers(total, size=count)


def _body(shape: tuple[int, ...], width: int, num_features: int) -> nn.Sequential:
    if len(shape) != 3:
        values = math.prod(shape)
        layers = [nn.Flatten(), nn.Linear(values, 4 * width), nn.GELU(), nn.Linear(4 * width, num_features), nn.GELU()]
        return nn.Sequential(*layers)
    return nn.Sequential(
        nn.Conv2d(shape[0], width, 3, stride=2, padding=1),
        nn.GELU(),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(2 * width * 16, num_features),
        nn.GELU(),
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread within the block."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
