"""Predictions, grids and guidances, and what can go wrong with them."""

import random

import torch

from gentoolkit.fields import Field, Prediction
from gentoolkit.paths import expand
from testing_parts.schedules_of_time import Amount


class Velocity(Amount, Prediction):
    """The velocity itself."""


class Denoised(Velocity):
    """The data, up to t = 0.999."""

    quantity = "denoised"

    def domain(self, path):
        return 0.0, 0.999


class Halved(Velocity):
    """Half of x_t plus twice the output, with another scale of time."""

    def input(self, t, path):
        return 1 + t

    def time(self, t, path):
        return 1000 * t

    def skip(self, t, path):
        return t * 0 + 0.5

    def scale(self, t, path):
        return t * 0 + 2


class NarrowDomain(Velocity):
    def domain(self, path):
        return 0.0, 0.5


class Unnamed(Velocity):
    quantity = "x1"


class NoScaleAtEnd(Velocity):
    """The output has no effect at t = 1, which is in the domain."""

    def scale(self, t, path):
        return path.sigma(t)


class InfiniteTime(Velocity):
    def time(self, t, path):
        return t.log()


class BatchScale(Velocity):
    def scale(self, t, path):
        return 1 + t.mean() + 0 * t


class WrongInverse(Halved):
    """Its `output_for` forgets the skip."""

    def output_for(self, quantity, x_t, t, path):
        return quantity / (2 + self._amount)


class NotQuite(Halved):
    """Its `output_for` is off by amount."""

    def output_for(self, quantity, x_t, t, path):
        return super().output_for(quantity, x_t, t, path) + self._amount


class Even(Amount):
    def times(self, num_steps):
        return tuple(k / num_steps for k in range(num_steps + 1))


class Bent(Even):
    def times(self, num_steps):
        return tuple((k / num_steps) ** (1 + self._amount) for k in range(num_steps + 1))


class OneShort(Even):
    def times(self, num_steps):
        return super().times(num_steps)[:-1] or (0.0,)


class EndsEarly(Even):
    def times(self, num_steps):
        return tuple((1 - self._amount) * t for t in super().times(num_steps))


class Falling(Even):
    def times(self, num_steps):
        return tuple(1 - t for t in super().times(num_steps))


class ListOfTimes(Even):
    def times(self, num_steps):
        return list(super().times(num_steps))


class RandomTimes(Even):
    def times(self, num_steps):
        random.random()
        return super().times(num_steps)


class LongFirst(Even):
    """The first step is half of the whole, however many there are."""

    def times(self, num_steps):
        return (0.0, *(0.5 + 0.5 * k / (num_steps - 1) for k in range(num_steps))) if num_steps > 1 else (0.0, 1.0)


class ScaledGuidance(Amount):
    """Classifier-free guidance of scale 2."""

    def guide(self, field, condition):
        if condition is None:
            return field

        def predict(x, t, c):
            u = field.predict(x, t, condition.null_like(c))
            return self.mixed(u, field.predict(x, t, c), t, x)

        return self.made(predict, field)

    def made(self, predict, field):
        return Field(predict, field.path, field.quantity, field.domain)

    def mixed(self, u, c, t, x):
        return u + 2 * (c - u)


class Forgetful(ScaledGuidance):
    """Forgets the domain."""

    def made(self, predict, field):
        return Field(predict, field.path, field.quantity)


class AsVelocity(ScaledGuidance):
    """Takes what the network predicts for the velocity."""

    def made(self, predict, field):
        return Field(predict, field.path, "velocity", field.domain)


class Rescaled(ScaledGuidance):
    """Scales by the deviation over the batch."""

    def mixed(self, u, c, t, x):
        return (u + 2 * (c - u)) / x.std()


class Amplifying(ScaledGuidance):
    """Weights that do not sum to 1."""

    def mixed(self, u, c, t, x):
        return 2 * c - (1 - self._amount) * u


class TimeOfQuantity(ScaledGuidance):
    """Adds to what is predicted, which means another thing for each quantity."""

    def mixed(self, u, c, t, x):
        return u + 2 * (c - u) + self._amount * expand(t, x)


class AlwaysGuides(ScaledGuidance):
    """Changes the field of unconditional data too."""

    def guide(self, field, condition):
        if condition is None:
            return self.made(lambda x, t, c: 2 * field.predict(x, t, c), field)
        return super().guide(field, condition)


class Claims(ScaledGuidance):
    """Its config claims to keep flow maps."""


class DrawsNoise(ScaledGuidance):
    def mixed(self, u, c, t, x):
        return u + 2 * (c - u) + 0 * torch.rand_like(u)
