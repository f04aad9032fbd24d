"""Flow matching on the linear path: E |f(x_t, t) - (x1 - x0)|², x_t = x0 + t (x1 - x0)."""

from __future__ import annotations

from torch import Tensor

from gentoolkit.paths import LINEAR, Field
from gentoolkit.protocols import BackboneFunction, Batch, LossRecord, TrainingContext

from . import FlowMatchingConfig


class FlowMatching:
    """The backbone predicts the velocity v = x1 - x0 (Lipman et al. 2023, arXiv:2210.02747, Eq. 23)."""

    def __init__(self, config: FlowMatchingConfig) -> None:
        self.config = config

    def loss(self, backbone: BackboneFunction, batch: Batch, context: TrainingContext) -> LossRecord:
        """Return the mean squared velocity error of each sample; x0 ~ N(0, I) unless the batch brings its own."""
        draw, x1 = context.generator, batch.x1
        t = draw.stratified() if self.config.times == "stratified" else draw.uniform()
        x0 = draw.normal(*x1.shape[1:]) if batch.x0 is None else batch.x0
        x_t = LINEAR.interpolate(x0, x1, t)
        v = backbone(x_t, t, batch.condition)
        return LossRecord((v.to(x1.dtype) - (x1 - x0)).square().flatten(1).mean(1), t)

    def field(self, backbone: BackboneFunction) -> Field:
        """Return the backbone as a velocity field."""
        return Field(lambda x, t, condition: backbone(x, t, condition).to(x.dtype), LINEAR)

    def output_for(self, velocity: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the velocity itself: it is what the backbone predicts."""
        return velocity
