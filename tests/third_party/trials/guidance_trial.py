"""A guidance: CFG-Zero* (Fan et al. 2025, arXiv:2503.18886, Eq. 8 and Alg. 1)."""

from pydantic import Field as Setting

from gentoolkit.api import Component, GuidanceConfig, Need, hookimpl


class CFGZeroConfig(GuidanceConfig):
    """(1 - scale) s v_u + scale v_c with s = <v_c, v_u> / |v_u|², and no velocity at first."""

    scale: float = 2.0
    zero_until: float = Setting(default=0.0, ge=0, lt=1)

    def needs(self):
        return (Need("data", "null_condition"),)


def cfg_zero(config):
    """Return the guidance."""
    from gentoolkit.fields import Field
    from gentoolkit.paths import expand

    class CFGZero:
        def guide(self, field, condition):
            def velocity(x, t, c):
                v_c, v_u = field.velocity(x, t, c), field.velocity(x, t, condition.null_like(c))
                s = expand((v_c * v_u).flatten(1).sum(1) / v_u.square().flatten(1).sum(1), x)
                return expand(t >= config.zero_until, x) * ((1 - config.scale) * s * v_u + config.scale * v_c)

            return field if condition is None else Field(velocity, field.path, "velocity", field.domain)

    return CFGZero()


@hookimpl
def gentoolkit_components():
    yield Component("cfg_zero", CFGZeroConfig, f"{__name__}:cfg_zero")
