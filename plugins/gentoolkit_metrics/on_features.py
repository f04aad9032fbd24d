"""The base class of metrics that compare samples by their features."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.api import DataSpec, MetricConfig
from gentoolkit.protocols import Dataset, Features


class OnFeatures:
    """A metric whose rows are features.

    Args:
        config: The config.
        spec: The spec of the data.
        seed: The recipe's seed.
        train: The training split.
        features: The features.
    """

    invariances = frozenset({"permutation"})

    def __init__(self, config: MetricConfig, spec: DataSpec, seed: int, train: Dataset, features: Features) -> None:
        self.features = features

    @torch.no_grad()
    def prepare(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Return the features of the samples, (N, F) float64."""
        return self.features(x).to("cpu", torch.float64)
