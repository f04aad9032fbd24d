"""Mean flows (Geng et al. 2025, arXiv:2505.13447), with time reversed: u = v + (s - t) du/dt, the mirror of Eq. 6."""

import torch

from gentoolkit.fields import FlowMap
from gentoolkit.paths import LINEAR, expand
from gentoolkit.protocols import LossRecord
from gentoolkit.samplers import FixedGrid


class MeanFlow:
    def __init__(self, config):
        pass

    def loss(self, backbone, batch, context):
        draw, x1 = context.generator, batch.x1
        t, s = torch.stack([draw.uniform(), draw.uniform()]).sort(dim=0).values
        s = torch.where(draw.uniform() < 0.5, t, s)
        x0 = draw.normal(*x1.shape[1:]) if batch.x0 is None else batch.x0
        v = x1 - x0
        u, du_dt = torch.func.jvp(
            lambda x, t: backbone(x, t, batch.condition, second_time=s).float(),
            (LINEAR.interpolate(x0, x1, t), t),
            (v, torch.ones_like(t)),
        )
        error = (u - (v + expand(s - t, v) * du_dt).detach()).square().flatten(1).mean(1)
        return LossRecord(error / (error + 1e-2).detach(), t, error.detach())

    def field(self, backbone):
        velocity = lambda x, t, c: backbone(x, t, c, second_time=t)
        jump = lambda x, t, s, c: x + expand(s - t, x) * backbone(x, t, c, second_time=s)
        return FlowMap(velocity, LINEAR, jumps=jump)

    def output_for(self, velocity, x_t, t):
        return velocity


class Jump(FixedGrid):
    def step(self, field, x, t, s, condition):
        return field.jump(x, t, s, condition)
