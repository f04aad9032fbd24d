"""Flow matching: E w(t) |f(x_t, t) - v|², x_t = alpha x1 + sigma x0, v = alpha' x1 + sigma' x0."""

from __future__ import annotations

from torch import Tensor

from gentoolkit.api import UsageError
from gentoolkit.paths import Field, Path
from gentoolkit.protocols import BackboneFunction, Batch, LossRecord, Times, TokenBackbone, TrainingContext, Weighting

from . import FlowMatchingConfig


class FlowMatching:
    """The backbone predicts the velocity of the path (Lipman et al. 2023, arXiv:2210.02747, Eq. 9)."""

    def __init__(self, config: FlowMatchingConfig, path: Path, times: Times, weighting: Weighting) -> None:
        self.config, self.path, self.times, self.weighting = config, path, times, weighting

    def loss(self, backbone: BackboneFunction, batch: Batch, context: TrainingContext) -> LossRecord:
        """Return each pair's weighted mean squared velocity error.

        Raises:
            UsageError: The config requires subsets of tokens, but the backbone does not support them or has too few.
        """
        draw, x0, x1 = context.generator, batch.x0, batch.x1
        assert x0 is not None
        t = self.times.quantile(draw.stratified() if self.config.stratified else draw.uniform(), self.path)
        x_t, v = self.path.interpolate(x0, x1, t), self.path.velocity(x0, x1, t)
        if self.config.tokens is None:
            output = backbone(x_t, t, batch.condition)
        elif isinstance(backbone, TokenBackbone):
            v = backbone.patches(v)
            tokens = draw.subset(v.shape[1], self.token_count(context, v.shape[1]))
            output, v = backbone(x_t, t, batch.condition, tokens), v.take_along_dim(tokens[..., None], dim=1)
        else:
            raise UsageError(
                f"objective.tokens={self.config.tokens} requires a backbone that can compute subsets of tokens, but "
                f"{type(backbone).__name__} can't (it has no method `patches`); remove objective.tokens"
            )
        error = (output.to(v.dtype) - v).square().flatten(1).mean(1)
        return LossRecord(self.weighting.weight(t, self.path) * error, t, error.detach())

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
        """Return the backbone as a velocity field."""
        return Field(lambda x, t, condition: backbone(x, t, condition).to(x.dtype), self.path)

    def output_for(self, velocity: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the velocity itself, which is what the backbone predicts."""
        return velocity
