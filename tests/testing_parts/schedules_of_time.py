"""Paths, distributions of times and weightings, and what can go wrong with them."""

import torch

from gentoolkit.paths import Linear, Path


class Amount:
    """Keeps the size of the fault."""

    def __init__(self, config):
        self._amount = config.amount


class Straight(Amount, Linear):
    pass


class Power(Amount, Path):
    """alpha = t², sigma = 1 - t²: its velocity is 0 at t = 0, where the determinant is 0 too."""

    def alpha(self, t):
        return t**2

    def sigma(self, t):
        return 1 - t**2

    def d_alpha(self, t):
        return 2 * t

    def d_sigma(self, t):
        return -2 * t


class Curved(Amount, Path):
    """alpha = t (1 + t) / 2, sigma = 1 - t."""

    def alpha(self, t):
        return t * (1 + t) / 2

    def sigma(self, t):
        return 1 - t

    def d_alpha(self, t):
        return 0.5 + t

    def d_sigma(self, t):
        return t * 0 - 1


class WrongSlope(Curved):
    """Its derivative is off by a factor of 1 + amount."""

    def d_alpha(self, t):
        return (1 + self._amount) * super().d_alpha(t)


class EndsEarly(Straight):
    """Reaches the data up to a rest of noise."""

    def sigma(self, t):
        return 1 - (1 - self._amount) * t

    def d_sigma(self, t):
        return t * 0 - (1 - self._amount)


class Backwards(Straight):
    """Runs from data to noise."""

    def alpha(self, t):
        return 1 - t

    def sigma(self, t):
        return t


class Scalar(Straight):
    """Returns a number instead of one per time."""

    def d_alpha(self, t):
        return torch.ones(())


class BatchScaled(Straight):
    """Scales t by the largest of the batch."""

    def alpha(self, t):
        return t / t.max().clamp(min=1e-3)


class Single(Straight):
    """Computes in float32 whatever t is."""

    def alpha(self, t):
        return t.float()


class Even(Amount):
    """t = u."""

    def quantile(self, u, path):
        return u


class Squared(Even):
    """t = u²: prefers early times."""

    def quantile(self, u, path):
        return u**2


class BeyondOne(Even):
    def quantile(self, u, path):
        return u * (1 + self._amount)


class Falling(Even):
    """Runs from 1 to 0."""

    def quantile(self, u, path):
        return 1 - u


class Sorted(Even):
    """Returns the times of a batch in ascending order."""

    def quantile(self, u, path):
        return u.sort().values


class Jittered(Even):
    """Draws from torch's generator."""

    def quantile(self, u, path):
        return (u + 0 * torch.rand(())).clamp(max=1)


class Steps(Even):
    """Trains at few times only, amount apart."""

    def quantile(self, u, path):
        return (u / self._amount).floor() * self._amount if self._amount else u


class One(Amount):
    """w = 1."""

    def weight(self, t, path):
        return t * 0 + 1


class SignalToNoise(One):
    """w = alpha² / sigma², which is infinite at t = 1."""

    def weight(self, t, path):
        return (path.alpha(t) / path.sigma(t)) ** 2


class Negative(One):
    def weight(self, t, path):
        return t - self._amount


class Normalized(One):
    """Has the mean 1 over the batch."""

    def weight(self, t, path):
        return t / t.mean()


class Late(One):
    """Weighs no time before amount."""

    def weight(self, t, path):
        return (t > self._amount).to(t.dtype)


class Flat(One):
    """Returns one weight for all times."""

    def weight(self, t, path):
        return torch.ones(1)
