"""A coupling: optimal transport whose cost grows for unequal conditions (arXiv:2503.10636)."""

from gentoolkit.api import Component, CouplingConfig, DataSpec, Labels, Problem, hookimpl


class ClassCouplingConfig(CouplingConfig):
    """Each x0 gets a class of its own, and a pair of unequal classes costs `weight` more."""

    weight: float = 100.0

    def check(self, spec):
        if not isinstance(spec.condition, Labels):
            yield Problem(None, "class-conditional transport needs labels; use optimal_transport")


class ClassCoupling:
    def __init__(self, config):
        self.weight = config.weight

    def couple(self, x0, x1, condition):
        import torch
        from scipy.optimize import linear_sum_assignment

        # The classes of x0 are as frequent as those of x1. Digits of x0 decide, so that the order of the rows does not.
        digits = (1e4 * x0.flatten(1)[:, 0]).frac().argsort()
        of_x0 = torch.empty_like(condition)
        of_x0[digits] = condition.sort().values
        cost = torch.cdist(x1.flatten(1).double(), x0.flatten(1).double()) ** 2
        cost += self.weight * (condition[:, None] != of_x0)
        return torch.from_numpy(linear_sum_assignment(cost.numpy())[1])


@hookimpl
def gentoolkit_components():
    spec = DataSpec((2,), Labels(3))
    yield Component("class_coupling", ClassCouplingConfig, f"{__name__}:ClassCoupling", tiny_spec=spec)
