"""A guidance: CFG-Zero* (Fan et al. 2025, arXiv:2503.18886, Eq. 8 and Alg. 1)."""

from pydantic import Field as Setting

from gentoolkit.api import Component, GuidanceConfig, Need, hookimpl
from gentoolkit.fields import Field
from gentoolkit.paths import expand


class CFGZeroConfig(GuidanceConfig):
    """(1 - scale) s v_u + scale v_c with s = <v_c, v_u> / |v_u|², and no velocity at first."""

    scale: float = 2.0
    zero_until: float = Setting(default=0.0, ge=0, lt=1)

    def needs(self):
        return (Need("data", "null_condition"),)


class CFGZero:
    def __init__(self, config):
        self.config = config

    def guide(self, field, condition):
        scale, first = self.config.scale, self.config.zero_until

        def velocity(x, t, c):
            v_c, v_u = field.velocity(x, t, c), field.velocity(x, t, condition.null_like(c))
            s = expand((v_c * v_u).flatten(1).sum(1) / v_u.square().flatten(1).sum(1), x)
            return expand(t >= first, x) * ((1 - scale) * s * v_u + scale * v_c)

        return field if condition is None else Field(velocity, field.path, "velocity", field.domain)


@hookimpl
def gentoolkit_components():
    yield Component("cfg_zero", CFGZeroConfig, f"{__name__}:CFGZero")
