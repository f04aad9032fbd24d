"""Velocity and x1 prediction, a curved path, a learned weight, and what can go wrong with objectives."""

import numpy as np
import torch
from torch import nn

from gentoolkit.fields import Field
from gentoolkit.paths import LINEAR, Path, expand
from gentoolkit.protocols import Batch, LossRecord


class Velocity:
    """|f(x_t, t) - v|² on the linear path."""

    path = LINEAR

    def __init__(self, config):
        self.amount = config.amount

    def times(self, draw):
        return draw.uniform()

    def noise(self, batch, draw):
        return batch.x0.clone()

    def label(self, t):
        """Return the time that the backbone is told."""
        return t

    def loss(self, backbone, batch, context):
        t, x0 = self.times(context.generator), self.noise(batch, context.generator)
        x_t, v = self.path.interpolate(x0, batch.x1, t), self.path.velocity(x0, batch.x1, t)
        output = backbone(x_t, self.label(t), self.condition(batch))
        return self.record(output, x_t, t, v, batch.x1)

    def condition(self, batch):
        return batch.condition

    def record(self, output, x_t, t, v, x1):
        return LossRecord((output - v).square().flatten(1).mean(1), t)

    def field(self, backbone):
        return Field(backbone, self.path)

    def output_for(self, velocity, x_t, t):
        return velocity


class Denoised(Velocity):
    """|f(x_t, t) - x1|²; the velocity is (f - x_t) / (1 - t), at least 1e-4 away from t = 1."""

    def times(self, draw):
        return 0.9999 * draw.uniform()

    def record(self, output, x_t, t, v, x1):
        error = self.path.velocity_from_denoised(output, x_t, t) - v
        return LossRecord((output - x1).square().flatten(1).mean(1), t, error.square().flatten(1).mean(1))

    def field(self, backbone):
        return Field(backbone, self.path, "denoised", (0.0, 0.9999))

    def output_for(self, velocity, x_t, t):
        return self.path.denoised_from_velocity(velocity, x_t, t)


class Circle(Path):
    """alpha = sin(pi t / 2), sigma = cos(pi t / 2)."""

    def alpha(self, t):
        return torch.sin(torch.pi / 2 * t)

    def sigma(self, t):
        return torch.cos(torch.pi / 2 * t)

    def d_alpha(self, t):
        return torch.pi / 2 * self.sigma(t)

    def d_sigma(self, t):
        return -torch.pi / 2 * self.alpha(t)


class Curved(Velocity):
    """The velocity of the path on a circle."""

    path = Circle()


class Weighted(Velocity, nn.Module):
    """A learned weight w(t): exp(-w) |f - v|² + w, with w linear in t."""

    def __init__(self, config):
        nn.Module.__init__(self)
        self.amount = config.amount
        self.slope = nn.Parameter(0.1 * torch.randn(2))

    def record(self, output, x_t, t, v, x1):
        error = (output - v).square().flatten(1).mean(1)
        w = self.weight(t)
        return LossRecord((-w).exp() * error + w, t, error)

    def weight(self, t):
        return self.slope[0] + self.slope[1] * t


class Scalar(Velocity):
    """Returns the mean loss of the batch."""

    def record(self, output, x_t, t, v, x1):
        return LossRecord((output - v).square().mean(), t)


class Thousands(Velocity):
    """Reports t from 0 to 1000."""

    def record(self, output, x_t, t, v, x1):
        return LossRecord((output - v).square().flatten(1).mean(1), 1000 * t)


class Detached(Velocity):
    def record(self, output, x_t, t, v, x1):
        return LossRecord((output.detach() - v).square().flatten(1).mean(1), t)


class SlowClock(Velocity):
    """The backbone is told 0.95 t."""

    def label(self, t):
        return 0.95 * t


class GradedClock(Velocity):
    """The backbone is told (1 - amount) t."""

    def label(self, t):
        return (1 - self.amount) * t


class LoudElement(Velocity):
    """The source has a standard deviation of 1 + amount in one element."""

    def noise(self, batch, draw):
        noise = super().noise(batch, draw)
        noise.flatten(1)[:, 1] *= 1 + self.amount
        return noise


class SharedNoise(Velocity):
    """The first two elements share `amount` of their noise."""

    def noise(self, batch, draw):
        noise = super().noise(batch, draw)
        rows = noise.flatten(1)
        rows[:, 1] = self.amount * rows[:, 0] + (1 - self.amount**2) ** 0.5 * rows[:, 1]
        return noise


class NoLateTimes(Velocity):
    """Never trains the last `amount` of [0, 1]."""

    def times(self, draw):
        return (1 - self.amount) * draw.uniform()


class NoLateGradient(Velocity):
    """Draws late times, and gives them a weight of 0."""

    def record(self, output, x_t, t, v, x1):
        error = (output - v).square().flatten(1).mean(1)
        return LossRecord((t < 0.9) * error, t, error)


class FaintClass(Velocity):
    """Gives a class the weight `amount`."""

    def loss(self, backbone, batch, context):
        plain = super().loss(backbone, batch, context)
        weight = torch.where(batch.condition == 1, self.amount, 1.0)
        return LossRecord(weight * plain.loss, plain.t, plain.loss)


class FaintElement(Velocity):
    """Gives an element the weight `amount`."""

    def record(self, output, x_t, t, v, x1):
        error = (output - v).square().flatten(1)
        weight = torch.ones(error.shape[1])
        weight[-1] = self.amount
        return LossRecord((weight * error).mean(1), t, error.mean(1))


class LastLeftOut(Velocity):
    """Leaves out the last sample of a batch."""

    def record(self, output, x_t, t, v, x1):
        error = (output - v).square().flatten(1).mean(1)
        return LossRecord(error * (torch.arange(len(t)) < len(t) - 1), t, error)


class GradedError(Velocity):
    """Reports an error that is `amount` too large."""

    def record(self, output, x_t, t, v, x1):
        error = (output - v).square().flatten(1).mean(1)
        return LossRecord(error, t, (1 + self.amount) * error)


class ZeroStart(Velocity):
    """Its field is zero at t = 0."""

    def field(self, backbone):
        return Field(lambda x, t, c: expand(t != 0, x) * backbone(x, t, c), self.path)


class ClampedField(Velocity):
    """Its field is clamped in the last `amount` of [0, 1]."""

    def field(self, backbone):
        return Field(lambda x, t, c: backbone(x, t.clamp(max=1 - self.amount), c), self.path)


class ClampedDenoised(Denoised):
    """Its field is clamped in the last `amount` of [0, 1], near its pole."""

    def field(self, backbone):
        return Field(lambda x, t, c: backbone(x, t.clamp(max=1 - self.amount), c), self.path, "denoised", (0.0, 0.9999))


class GapInField(Velocity):
    """Its field is zero from 0.501 to 0.501 + amount."""

    def field(self, backbone):
        inside = lambda t: (t > 0.501) & (t < 0.501 + self.amount)
        return Field(lambda x, t, c: expand(~inside(t), x) * backbone(x, t, c), self.path)


class FastClock(Velocity):
    """The backbone is told t / 0.95."""

    def label(self, t):
        return (t / 0.95).clamp(max=1)


class FastDenoised(Denoised):
    def label(self, t):
        return (t / 0.95).clamp(max=0.9999)


class DataWeighted(Velocity):
    """A weight that depends on the data moves the minimum."""

    def record(self, output, x_t, t, v, x1):
        plain = super().record(output, x_t, t, v, x1)
        return LossRecord(plain.loss * x1.flatten(1).mean(1) ** 4, t, plain.loss)


class Summed(Velocity):
    """Sums over the dimensions."""

    def record(self, output, x_t, t, v, x1):
        return LossRecord((output - v).square().flatten(1).sum(1), t)


class WeightedError(Denoised):
    """Reports the error of x1 as that of the velocity."""

    def record(self, output, x_t, t, v, x1):
        loss = super().record(output, x_t, t, v, x1).loss
        return LossRecord(loss, t, loss)


class Backwards(Velocity):
    """Takes t to be 1 at the noise, all through the loss."""

    def loss(self, backbone, batch, context):
        t, x0 = context.generator.uniform(), self.noise(batch, context.generator)
        x_t = (1 - expand(t, x0)) * batch.x1 + expand(t, x0) * x0
        return self.record(backbone(x_t, t, batch.condition), x_t, t, x0 - batch.x1, batch.x1)


class LoudNoise(Velocity):
    """Its source has a standard deviation of 1.05."""

    def noise(self, batch, draw):
        return 1.05 * super().noise(batch, draw)


class WrongSign(Denoised):
    """x1 = x_t - (1 - t) v."""

    def output_for(self, velocity, x_t, t):
        return super().output_for(-velocity, x_t, t)


class Forgetful(Denoised):
    """Sets no velocity_error, although it predicts x1."""

    def record(self, output, x_t, t, v, x1):
        return LossRecord((output - x1).square().flatten(1).mean(1), t)


class Negative(Velocity):
    """Its field runs from data to noise."""

    def field(self, backbone):
        return Field(lambda x, t, c: -backbone(x, t, c), self.path)


class PoleAtStart(Velocity):
    """Predicts x0: the velocity divides by t, and the domain contains t = 0."""

    def field(self, backbone):
        return Field(backbone, self.path, "noise")

    def output_for(self, velocity, x_t, t):
        return self.path.noise_from_velocity(velocity, x_t, t)


class Unconditional(Velocity):
    def condition(self, batch):
        return None


class UnconditionalField(Velocity):
    def field(self, backbone):
        return Field(lambda x, t, c: backbone(x, t, None), self.path)


class TorchNoise(Velocity):
    """Draws from torch's global generator."""

    def noise(self, batch, draw):
        return torch.randn_like(batch.x1)


class NumpyTimes(Velocity):
    def times(self, draw):
        return torch.from_numpy(np.random.rand(draw.total)).float()  # noqa: NPY002


class FixedDraws(Velocity):
    """Draws the same numbers in every step."""

    def times(self, draw):
        return torch.rand(draw.total, generator=torch.Generator().manual_seed(0))


class OwnNoise(Velocity):
    """Draws x0 itself, whatever the source."""

    def noise(self, batch, draw):
        return draw.normal(*batch.x1.shape[1:])


class Sorted(Velocity):
    """Passes the samples in another order, but not the conditions."""

    def loss(self, backbone, batch, context):
        order = batch.x1.flatten(1).mean(1).argsort()
        return super().loss(backbone, Batch(batch.x1[order], batch.condition, batch.x0[order]), context)


class DetachedWeight(Weighted):
    def weight(self, t):
        return super().weight(t).detach()
