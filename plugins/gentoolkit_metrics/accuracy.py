"""The share of generated samples that a classifier assigns to the class that they were generated for."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from gentoolkit.protocols import Classifier

from .on_features import OnFeatures
from .samples import need


class ClassAccuracy(OnFeatures):
    """The accuracy of the features' classifier on samples with the labels that they were generated for.

    Its accuracy on real samples is the floor: a classifier that is itself wrong says little about generated samples.
    """

    optimum = 1.0
    sees: frozenset[str] = frozenset()

    @torch.no_grad()
    def prepare(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Return whether each sample is assigned to its class, (N, 1): 1.0 or 0.0."""
        assert condition is not None
        return (cast("Classifier", self.features).classes(x) == condition).double()[:, None]

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the share. ValueError: There are no samples."""
        need(1, real, other)
        return other.mean().item()
