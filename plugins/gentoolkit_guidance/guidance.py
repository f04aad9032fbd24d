"""Classifier-free guidance."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.api import Array, Labels
from gentoolkit.fields import Field
from gentoolkit.paths import expand

from . import CFGConfig


class CFG:
    """q_u + scale (q_c - q_u) for the predicted quantity q, within an interval of times.

    All quantities are affine functions of each other, so this guides the velocity, the denoised sample and the noise.
    """

    def __init__(self, config: CFGConfig) -> None:
        self.scale, self.start, self.end = config.scale, config.start, config.end

    def guide(self, field: Field, condition: Labels | Array | None) -> Field:
        """Return the field with guidance; the field itself at scale 1 and without conditions."""
        if self.scale == 1 or condition is None:
            return field

        def predict(x: Tensor, t: Tensor, c: Tensor | None) -> Tensor:
            conditional = field.predict(x, t, c)
            inside = (t >= self.start) & (t <= self.end)
            if c is None or not inside.any():
                return conditional
            unconditional = field.predict(x, t, condition.null_like(c))
            scale = expand(torch.where(inside, self.scale, 1.0), x)
            return unconditional + scale * (conditional - unconditional)

        return Field(predict, field.path, field.quantity, field.domain)
