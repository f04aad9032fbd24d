"""Codecs, and what can go wrong with them."""

import torch
from torch import nn


class Scale:
    """z = x / 2 - 1."""

    def __init__(self, config, spec):
        self.amount, self.shape = config.amount, spec.shape

    def encode(self, x):
        return x / 2 - 1

    def decode(self, z):
        return 2 * (z + 1)


class Mean(nn.Module):
    """Subtracts the mean of all elements of the training data."""

    def __init__(self, config, spec):
        super().__init__()
        self.amount = config.amount
        self.register_buffer("mean", torch.zeros(()))

    def fit(self, chunks):
        total, count = torch.zeros(()).double(), 0
        for chunk in chunks:
            total, count = total + chunk.double().sum(), count + chunk.numel()
        self.mean.copy_(total / count)

    def encode(self, x):
        return x - self.mean

    def decode(self, z):
        return z + self.mean


class Rounded(Scale):
    """Keeps three digits."""

    def encode(self, x):
        return (super().encode(x) * 1000).round() / 1000


class Off(Scale):
    """Decoded samples are off by amount."""

    def decode(self, z):
        return super().decode(z) + self.amount


class Flat(Scale):
    def encode(self, x):
        return x.flatten(1)

    def decode(self, z):
        return z.view(-1, *self.shape)


class Double(Scale):
    def encode(self, x):
        return super().encode(x).double()

    def decode(self, z):
        return super().decode(z).float()


class Logarithm(Scale):
    """Not finite for negative numbers."""

    def encode(self, x):
        return x.log()

    def decode(self, z):
        return z.exp()


class BatchScaled(Scale):
    """Divides by the deviation of the batch."""

    def encode(self, x):
        return x / (1 + self.amount * x.mean())


class Noisy(Scale):
    def decode(self, z):
        return super().decode(z) + 0 * torch.randn(())


class InPlace(Scale):
    def encode(self, x):
        return x.div_(2).sub_(1)


class Forgetful(Mean):
    """Its mean is no buffer."""

    def __init__(self, config, spec):
        nn.Module.__init__(self)
        self.amount, self.mean = config.amount, torch.zeros(())


class Plain(Scale):
    """Is fitted, but no module."""

    mean = 0.0

    def fit(self, chunks):
        self.mean = torch.cat(list(chunks)).mean()

    def encode(self, x):
        return x - self.mean

    def decode(self, z):
        return z + self.mean


class FirstChunk(Mean):
    """Is fitted to the first chunk only."""

    def fit(self, chunks):
        super().fit([next(iter(chunks))])


class MeanOfMeans(Mean):
    """Averages the means of chunks, whatever their size."""

    def fit(self, chunks):
        self.mean.copy_(torch.stack([chunk.mean() for chunk in chunks]).mean())


class LastLeftOut(Mean):
    """Is fitted to all but the last 100 samples."""

    def fit(self, chunks):
        super().fit([torch.cat(list(chunks))[:-100]])


class Unfitted(Mean):
    def fit(self, chunks):
        pass
