"""The declaration of a two-time objective, mean flow, and of a sampler that jumps."""

from gentoolkit.api import Component, FixedGridConfig, Need, ObjectiveConfig, hookimpl


class MeanFlowConfig(ObjectiveConfig):
    """The network predicts the average velocity between two times."""

    def offers(self):
        return ("velocity", "flow_map")

    def needs(self):
        return (Need("backbone", "second_time"), Need("backbone", "forward_derivatives"))


class JumpConfig(FixedGridConfig):
    """Each step is one jump of the flow map."""

    def needs(self):
        return (Need("field", "flow_map"),)


@hookimpl
def gentoolkit_components():
    yield Component("mean_flow", MeanFlowConfig, "mean_flow:MeanFlow")
    yield Component("jump", JumpConfig, "mean_flow:Jump", tiny={"num_steps": 2})
