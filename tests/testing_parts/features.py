"""Features, and what can go wrong with them."""

import torch
from torch import nn


class Flat:
    """The values of the sample."""

    preprocessing = "none"

    def __init__(self, config, spec, seed, train):
        self.amount = config.amount

    def __call__(self, x):
        return x.flatten(1)


class Scaled(nn.Module):
    """Divides by the deviation of the training split."""

    preprocessing = "none"

    def __init__(self, config, spec, seed, train):
        super().__init__()
        self.amount = config.amount
        self.register_buffer("scale", train.whole.x1.std())

    def forward(self, x):
        return x.flatten(1) / self.scale


class Sign(Flat):
    """Also a classifier, by the sign of the mean."""

    def classes(self, x):
        return (x.flatten(1).mean(1) > 0).long()


class BatchScaled(Flat):
    def __call__(self, x):
        return super().__call__(x) / (1 + self.amount * x.mean())


class Noisy(Flat):
    def __call__(self, x):
        return super().__call__(x) + 0 * torch.randn(())


class InPlace(Flat):
    def __call__(self, x):
        return x.mul_(2).flatten(1)


class Unflattened(Flat):
    def __call__(self, x):
        return x


class Infinite(Flat):
    def __call__(self, x):
        return super().__call__(x).log()


class Signs(Flat):
    """Sees only the signs."""

    def __call__(self, x):
        return super().__call__(x).sign()


class Hidden(Scaled):
    """Keeps what it learned out of its state."""

    def __init__(self, config, spec, seed, train):
        nn.Module.__init__(self)
        self.amount, self.scale = config.amount, train.whole.x1.std()


class NoModule(Flat):
    """Learns, but is no module."""

    def __init__(self, config, spec, seed, train):
        super().__init__(config, spec, seed, train)
        self.scale = train.whole.x1.std()

    def __call__(self, x):
        return super().__call__(x) / self.scale


class ManyClasses(Sign):
    def classes(self, x):
        return super().classes(x) + 1


class FloatClasses(Sign):
    def classes(self, x):
        return super().classes(x).float()
