"""Sources, and what can go wrong with them."""

import os

import numpy as np
import torch

from gentoolkit.randomness import integer_rows, normal_rows, uniform_rows


class Noise:
    """x0 ~ N(0, I)."""

    def __init__(self, config, spec):
        self.amount, self.shape = config.amount, spec.shape

    def draw(self, seed, purpose, rows):
        return normal_rows(seed, purpose, rows, self.shape)


class Cube(Noise):
    """Uniform on the cube from -1 to 1."""

    def draw(self, seed, purpose, rows):
        return 2 * uniform_rows(seed, purpose, rows, self.shape) - 1


class Few(Noise):
    """One of 100 points."""

    def draw(self, seed, purpose, rows):
        return normal_rows(0, "points", integer_rows(seed, purpose, rows, 100), self.shape)


class Double(Noise):
    def draw(self, seed, purpose, rows):
        return super().draw(seed, purpose, rows).double()


class Infinite(Noise):
    """Divides by numbers that may be 0."""

    def draw(self, seed, purpose, rows):
        return super().draw(seed, purpose, rows) / torch.from_numpy(rows % 256).view(-1, *(1,) * len(self.shape))


class Sequential(Noise):
    """Draws the rows of a call one after the other, whatever their numbers."""

    def draw(self, seed, purpose, rows):
        return normal_rows(seed, f"{purpose} {rows.sum()}", np.arange(len(rows)), self.shape)


class Centered(Noise):
    """Subtracts the mean of the call."""

    def draw(self, seed, purpose, rows):
        x0 = super().draw(seed, purpose, rows)
        return x0 - x0.mean(0, keepdim=True) if len(x0) > 1 else x0


class Global(Noise):
    def draw(self, seed, purpose, rows):
        return torch.randn(len(rows), *self.shape)


class Process(Noise):
    """Is keyed by the process."""

    def draw(self, seed, purpose, rows):
        return normal_rows(seed, f"{purpose} {os.getpid()}", rows, self.shape)


class OneSeed(Noise):
    """Ignores the seed in `amount` of the rows; so in all if it is 1."""

    def draw(self, seed, purpose, rows):
        fixed = (rows % 512 < 512 * self.amount)[:, None]
        one, other = (super(OneSeed, self).draw(s, purpose, rows) for s in (7, seed))
        return torch.where(torch.from_numpy(fixed.reshape(-1, *(1,) * len(self.shape))), one, other)


class OnePurpose(Noise):
    def draw(self, seed, purpose, rows):
        return super().draw(seed, "noise", rows)


class ShortNumbers(Noise):
    """Keeps the lower 32 bits of a number."""

    def draw(self, seed, purpose, rows):
        return super().draw(seed, purpose, rows % 2**32)


class Repeating(Noise):
    """Row `amount` equals row 0."""

    def draw(self, seed, purpose, rows):
        return super().draw(seed, purpose, np.where(rows == int(self.amount), 0, rows))


class Loud(Noise):
    """The variance of one element is 1 + amount."""

    def draw(self, seed, purpose, rows):
        x0 = super().draw(seed, purpose, rows).flatten(1)
        x0[:, 1] *= (1 + self.amount) ** 0.5
        return x0.view(-1, *self.shape)


class Tilted(Noise):
    """The mean of one element is amount."""

    def draw(self, seed, purpose, rows):
        x0 = super().draw(seed, purpose, rows).flatten(1)
        x0[:, 1] += self.amount
        return x0.view(-1, *self.shape)


class Neighborly(Noise):
    """The correlation of a row with the next is amount."""

    def draw(self, seed, purpose, rows):
        a = self.amount
        now, then = (super(Neighborly, self).draw(seed, purpose, numbers) for numbers in (rows, rows + 1))
        # With weights (cos b, sin b), the correlation is cos b sin b = sin(2 b) / 2.
        angle = torch.asin(torch.tensor(2 * a)) / 2
        return now * angle.cos() + then * angle.sin()


class Heavy(Noise):
    """A mixture of two deviations with variance 1; the fourth moment is 3 + 3 amount²."""

    def draw(self, seed, purpose, rows):
        side = 2 * torch.from_numpy(integer_rows(seed, f"{purpose} side", rows, 2)) - 1
        scale = (1 + self.amount * side).sqrt().float()
        return super().draw(seed, purpose, rows) * scale.view(-1, *(1,) * len(self.shape))
