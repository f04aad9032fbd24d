"""An optimizer: Lion (Chen et al. 2023, arXiv:2302.06675, Alg. 2)."""

from pydantic import Field

from gentoolkit.api import Component, OptimizerConfig, hookimpl


class LionConfig(OptimizerConfig):
    state_per_weight = 1
    learning_rate: float = Field(default=1e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = Field(default=0.0, ge=0)


class Lion:
    def __init__(self, config, parameters):
        self.beta1, self.beta2 = config.betas
        self.decay, weights = config.weight_decay, [part.parameter for part in parameters]
        self.param_groups = [{"params": weights, "lr": config.learning_rate}]
        self.momenta = [weight.detach() * 0 for weight in weights]

    def step(self):
        (group,) = self.param_groups
        for weight, momentum in zip(group["params"], self.momenta, strict=True):
            if weight.grad is not None:
                update = momentum.lerp(weight.grad, 1 - self.beta1).sign() + self.decay * weight.detach()
                weight.detach().sub_(group["lr"] * update)
                momentum.lerp_(weight.grad, 1 - self.beta2)

    def state_dict(self):
        return {"momenta": self.momenta}

    def load_state_dict(self, state_dict):
        self.momenta = [saved.to(own.device) for own, saved in zip(self.momenta, state_dict["momenta"], strict=True)]


@hookimpl
def gentoolkit_components():
    yield Component("lion", LionConfig, f"{__name__}:Lion", tiny={"learning_rate": 0.01})
