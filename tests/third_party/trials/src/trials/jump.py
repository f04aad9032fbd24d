"""A sampler for flow maps: each step is one jump."""

from gentoolkit.api import Component, FixedGridConfig, Need, hookimpl


class JumpConfig(FixedGridConfig):
    def needs(self):
        return (Need("field", "flow_map"),)


def jump(config, grid):
    from gentoolkit.samplers import FixedGrid

    class Jump(FixedGrid):
        def step(self, field, x, t, s, condition):
            return field.jump(x, t, s, condition)

    return Jump(config, grid)


@hookimpl
def gentoolkit_components():
    yield Component("jump", JumpConfig, f"{__name__}:jump", tiny={"num_steps": 2})
