"""Flow matching with one thing changed: what the network predicts, or the times."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.paths import Field, expand
from gentoolkit.protocols import BackboneFunction, Batch, LossRecord, TokenBackbone, TrainingContext
from gentoolkit.randomness import BatchGenerator
from gentoolkit_flow_matching.objective import FlowMatching

from . import DenoisedConfig, LogitNormalConfig, PreconditionedConfig


class Affine:
    """v = c_skip x_t + c_out F(c_in x_t, t, condition), in place of the backbone F."""

    def __init__(self, objective: AffineFlowMatching, backbone: BackboneFunction) -> None:
        self.objective, self.backbone = objective, backbone

    def __call__(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None, tokens: Tensor | None = None) -> Tensor:
        """Return v, (B, *S); for `tokens`, (B, K), as patches of these alone."""
        c_in, c_skip, c_out = (expand(c, x_t) for c in self.objective.coefficients(t))
        if tokens is None:
            return c_skip * x_t + c_out * self.backbone(c_in * x_t, t, condition).to(x_t.dtype)
        output, some = self.backbone(c_in * x_t, t, condition, tokens), tokens[..., None]
        return self.patches(c_skip * x_t).take_along_dim(some, dim=1) + c_out.flatten(1)[..., None] * output

    def patches(self, x: Tensor) -> Tensor:
        """Return the backbone's patches of x."""
        assert isinstance(self.backbone, TokenBackbone)
        return self.backbone.patches(x)


class AffineFlowMatching(FlowMatching):
    """Flow matching where the velocity is an affine function of what the network predicts."""

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return c_in, c_skip and c_out, (B,) each."""
        raise NotImplementedError

    def loss(self, backbone: BackboneFunction, batch: Batch, context: TrainingContext) -> LossRecord:
        """Return flow matching's loss of the velocity."""
        return super().loss(Affine(self, backbone), batch, context)

    def field(self, backbone: BackboneFunction) -> Field:
        """Return the velocity as a field."""
        return super().field(Affine(self, backbone))

    def output_for(self, velocity: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return (v - c_skip x_t) / c_out."""
        _, c_skip, c_out = (expand(c, x_t) for c in self.coefficients(t))
        return (velocity - c_skip * x_t) / c_out


class Preconditioned(AffineFlowMatching):
    """Input and target of unit variance for data N(0, sigma²): D = t² sigma² + (1 - t)², the variance of x_t."""

    config: PreconditionedConfig

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return D^-½, (t sigma² - (1 - t)) / D and sigma D^-½."""
        sigma = self.config.sigma_data
        variance = t**2 * sigma**2 + (1 - t) ** 2
        return variance**-0.5, (t * sigma**2 - (1 - t)) / variance, sigma * variance**-0.5


class Denoised(AffineFlowMatching):
    """v = (F - x_t) / (1 - t)."""

    config: DenoisedConfig

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return 1, -1 / (1 - t) and 1 / (1 - t), with 1 - t clamped."""
        inverse = 1 / (1 - t).clamp(min=self.config.clamp)
        return torch.ones_like(t), -inverse, inverse


class LogitNormal(FlowMatching):
    """t = sigmoid(mean + std z), z ~ N(0, 1)."""

    config: LogitNormalConfig

    def times(self, draw: BatchGenerator) -> Tensor:
        """Return the quantiles of flow matching's own times, (B,)."""
        return torch.sigmoid(self.config.mean + self.config.std * torch.special.ndtri(super().times(draw)))
