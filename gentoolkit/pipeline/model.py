"""A trained model, to sample from and to evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gentoolkit.evaluation import ValidationLoss
from gentoolkit.pipeline.evaluate import evaluate, validate
from gentoolkit.pipeline.parts import Parts
from gentoolkit.pipeline.sampling import sample
from gentoolkit.records import Evaluation
from gentoolkit.sampling import Samples


@dataclass(frozen=True)
class Model(Parts):
    """The components of a recipe that make a model, with everything that can be done with it."""

    def sample(
        self,
        per_class: int | None = None,
        classes: Sequence[int] | None = None,
        seed: int | None = None,
        *,
        trajectory: bool = False,
    ) -> Samples:
        """Draw samples; see `gentoolkit.pipeline.sampling.sample`."""
        return sample(self, per_class, classes, seed, trajectory=trajectory)

    def validate(self) -> ValidationLoss:
        """Return the validation loss on held-out data, computed in fp32."""
        return validate(self)

    def evaluate(self, drawn: Samples | None = None) -> Evaluation:
        """Return validation loss and metrics on held-out data; see `gentoolkit.pipeline.evaluate.evaluate`."""
        return evaluate(self, drawn)
