"""Mean flows (Geng et al. 2025, arXiv:2505.13447), with time reversed: u = v + (s - t) du/dt, the mirror of Eq. 6."""

from gentoolkit.api import Component, Need, ObjectiveConfig, hookimpl
from gentoolkit.fields import FlowMap
from gentoolkit.paths import LINEAR, expand
from gentoolkit.protocols import LossRecord


class MeanFlowConfig(ObjectiveConfig):
    def offers(self):
        return ("velocity", "flow_map")

    def needs(self):
        return (Need("backbone", "second_time"), Need("backbone", "forward_derivatives"))


class MeanFlow:
    def __init__(self, config):
        pass

    def loss(self, backbone, batch, context):
        from torch.func import jvp

        network = lambda x, t: backbone(x, t, batch.condition, second_time=s).float()
        a, b, u = (context.generator.uniform() for _ in range(3))
        t, v = a.minimum(b), batch.x1 - batch.x0
        s = a.maximum(b).where(u < 0.5, t)
        u, du_dt = jvp(network, (LINEAR.interpolate(batch.x0, batch.x1, t), t), (v, t * 0 + 1))
        error = (u - (v + expand(s - t, v) * du_dt).detach()).square().flatten(1).mean(1)
        return LossRecord(error / (error + 1e-2).detach(), t, error.detach())

    def field(self, backbone):
        velocity = lambda x, t, c: backbone(x, t, c, second_time=t)
        jump = lambda x, t, s, c: x + expand(s - t, x) * backbone(x, t, c, second_time=s)
        return FlowMap(velocity, LINEAR, jumps=jump)


@hookimpl
def gentoolkit_components():
    yield Component("mean_flow", MeanFlowConfig, f"{__name__}:MeanFlow")
