"""Flow matching: E w(t) |q(x_t, t) - q*|², x_t = alpha x1 + sigma x0, for a quantity q such as the velocity."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gentoolkit.api import UsageError
from gentoolkit.fields import Field, Prediction
from gentoolkit.paths import Path, expand
from gentoolkit.protocols import BackboneFunction, Batch, LossRecord, Times, TrainingContext, Weighting

from . import FlowMatchingConfig


class FlowMatching:
    """The backbone predicts a quantity of the path (Lipman et al. 2023, arXiv:2210.02747, Eq. 9, if the velocity)."""

    def __init__(
        self, config: FlowMatchingConfig, path: Path, times: Times, prediction: Prediction, weighting: Weighting
    ) -> None:
        self.config, self.path, self.times = config, path, times
        self.prediction, self.weighting = prediction, weighting

    def loss(self, backbone: Any, batch: Batch, context: TrainingContext) -> LossRecord:
        """Return each pair's weighted mean squared error.

        The error of the backbone's output is that of every other quantity up to a factor, which depends on t.

        Raises:
            UsageError: There are fewer tokens than the config requires.
        """
        draw, x0, x1, path, prediction = context.generator, batch.x0, batch.x1, self.path, self.prediction
        assert x0 is not None
        u = draw.stratified() if self.config.stratified else draw.uniform()
        t = self.times.quantile(u, path).clamp(*prediction.domain(path))
        x_t = path.interpolate(x0, x1, t)
        target = self.output_for(path.velocity(x0, x1, t), x_t, t)
        inputs = expand(prediction.input(t, path), x_t) * x_t, prediction.time(t, path), batch.condition
        if self.config.tokens is None:
            output = backbone(*inputs)
        else:
            target = backbone.patches(target)
            tokens = draw.subset(target.shape[1], self.token_count(context, target.shape[1]))
            output, target = backbone(*inputs, tokens), target.take_along_dim(tokens[..., None], dim=1)
        error = (output.to(target.dtype) - target).square().flatten(1).mean(1)
        weight = self.weighting.weight(t, path) * self.error_ratio(self.config.error, t) ** 2
        return LossRecord(weight * error, t, (self.error_ratio("velocity", t) ** 2 * error).detach())

    def error_ratio(self, quantity: str, t: Tensor) -> Tensor:
        """Return the error of a quantity over the error of the backbone's output, (B,)."""
        if quantity == "output":
            return t * 0 + 1
        ratio = self.path.size_of(quantity, t) / self.path.size_of(self.prediction.quantity, t)
        return ratio * self.prediction.scale(t, self.path)

    def token_count(self, context: TrainingContext, available: int) -> int:
        """Return the number of each sample's `available` tokens to train on in this step."""
        tokens = self.config.tokens
        stages = (tokens,) if isinstance(tokens, int) else tokens or (available,)
        if max(stages) > available:
            raise UsageError(
                f"objective.tokens includes {max(stages)}, but a sample has {available} tokens; "
                f"use at most {available}, or remove objective.tokens to train on all"
            )
        return stages[len(stages) * context.step // context.total_steps]

    def field(self, backbone: BackboneFunction) -> Field:
        """Return the field of a backbone."""
        return self.prediction.field(backbone, self.path)

    def output_for(self, velocity: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the backbone's output that gives a velocity: the inverse of `field`."""
        quantity = self.path.convert(velocity, x_t, t, "velocity", self.prediction.quantity)
        return self.prediction.output_for(quantity, x_t, t, self.path)
