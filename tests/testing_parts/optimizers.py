"""Optimizers, and what can go wrong with them."""

import torch


class Momentum(torch.optim.Optimizer):
    """w <- w - lr m, with m <- 0.9 m + gradient, in bfloat16."""

    def __init__(self, config, parameters):
        self.amount, self.names = config.amount, [part.name for part in parameters]
        super().__init__([part.parameter for part in parameters], {"lr": config.learning_rate})

    @torch.no_grad()
    def step(self):
        (group,) = self.param_groups
        for index, parameter in enumerate(group["params"]):
            if parameter.grad is not None:
                self.update(index, parameter, parameter.grad, group["lr"])

    def average(self, parameter, gradient):
        average = self.state[parameter].setdefault("average", torch.zeros_like(parameter, dtype=torch.bfloat16))
        return average.mul_(0.9).add_(gradient)

    def update(self, index, parameter, gradient, rate):
        parameter.sub_(rate * self.average(parameter, gradient).to(parameter.dtype))


class Upwards(Momentum):
    def update(self, index, parameter, gradient, rate):
        super().update(index, parameter, -gradient, rate)


class MatricesOnly(Momentum):
    """Leaves what is no matrix as it is."""

    def update(self, index, parameter, gradient, rate):
        if parameter.ndim == 2:
            super().update(index, parameter, gradient, rate)


class Single(Momentum):
    """Makes float32 of every weight."""

    def update(self, index, parameter, gradient, rate):
        super().update(index, parameter, gradient, rate)
        parameter.data = parameter.data.float()


class Forgets(Momentum):
    """Leaves out the last parameter."""

    def __init__(self, config, parameters):
        super().__init__(config, parameters[:-1])


class Rateless(Momentum):
    def __init__(self, config, parameters):
        super().__init__(config, parameters)
        self.param_groups[0]["lr"] = None


class Drifts(Momentum):
    """Follows its momentum without a gradient, too."""

    def step(self):
        for parameter in self.param_groups[0]["params"]:
            if parameter.grad is None and self.state[parameter]:
                parameter.grad = torch.zeros_like(parameter)
        super().step()


class OwnRate(Momentum):
    """Uses the learning rate of its config."""

    def __init__(self, config, parameters):
        super().__init__(config, parameters)
        self.rate = config.learning_rate

    def update(self, index, parameter, gradient, rate):
        super().update(index, parameter, gradient, self.rate)


class Noisy(Momentum):
    def update(self, index, parameter, gradient, rate):
        super().update(index, parameter, gradient + 0.1 * torch.randn_like(gradient), rate)


class Unsaved(Momentum):
    """Keeps its momentum outside of its state."""

    def __init__(self, config, parameters):
        super().__init__(config, parameters)
        self.averages = {}

    def average(self, parameter, gradient):
        average = self.averages.setdefault(parameter, torch.zeros_like(parameter))
        return average.mul_(0.9).add_(gradient)


class NotLoaded(Momentum):
    def load_state_dict(self, state_dict):
        pass


class FirstFaster(Momentum):
    """The first parameter is trained faster, by amount."""

    def average(self, parameter, gradient):
        return gradient

    def update(self, index, parameter, gradient, rate):
        super().update(index, parameter, gradient, rate * (1 if index else 1 + self.amount))
