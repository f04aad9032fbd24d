"""What can go wrong with samplers."""

from dataclasses import replace

import numpy as np
import torch

from testing_parts.samplers import Euler, EulerMaruyama, Heun, HeunEuler


class ShortSteps(Euler):
    """The steps add up to 0.999."""

    def step(self, field, x, t, dt, condition, noise):
        return super().step(field, x, t, dt, condition, noise) * 0.999 + 0.001 * x


class GradedSteps(Euler):
    """The steps are `amount` too long."""

    def step(self, field, x, t, dt, condition, noise):
        return x + (1 + self.config.amount) * dt * self.at(field, x, t, condition)


class GradedOrder(Euler):
    """Declares an order that is `amount` too high."""

    @property
    def order(self):
        return 1 + self.config.amount


class GradedTimes(Euler):
    """Evaluates `amount` later than it declares."""

    def at(self, field, x, t, condition):
        return super().at(field, x, t + self.config.amount, condition)


class GradedPull(Euler):
    """Pulls the samples of a batch towards their mean."""

    def step(self, field, x, t, dt, condition, noise):
        return super().step(field, x, t, dt, condition, noise) + self.config.amount * (x.mean(0) - x)


class GradedNoise(EulerMaruyama):
    """Noise that is `amount` too strong."""

    def amplitude(self, t, dt):
        return (1 + self.config.amount) * super().amplitude(t, dt)


class SinglePrecisionSteps(Euler):
    """Its step is rounded to float32."""

    def step(self, field, x, t, dt, condition, noise):
        return x + float(np.float32(0.1)) * dt / 0.1 * self.at(field, x, t, condition)


class StaleHeun(Heun):
    """The second slope is taken at the first one's time: still second order where the field does not depend on t."""

    def step(self, field, x, t, dt, condition, noise):
        v = self.at(field, x, t, condition)
        return x + dt / 2 * (v + self.at(field, x + dt * v, t, condition))


class BeyondDomain(Euler):
    """Takes every field to be defined from 0 to 1."""

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        return super().sample(replace(field, domain=(0.0, 1.0)), x0, condition, noise, on_step)


class NotDenoised(Euler):
    """Stops at the end of the domain."""

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        last = field.domain[1]
        return super().sample(field, x0, condition, noise, on_step) * last + (1 - last) * x0


class NoOrder(Euler):
    order = None


class LateEuler(Euler):
    """Evaluates at the end of a step, and says at its start."""

    def step(self, field, x, t, dt, condition, noise):
        return x + dt * self.at(field, x, t + dt, condition)


class Backwards(Euler):
    """Takes t to be 1 at the noise."""

    def at(self, field, x, t, condition):
        return super().at(field, x, 1 - t, condition)


class OneMoreLook(Euler):
    """Evaluates once more at the end and throws it away."""

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        x = super().sample(field, x0, condition, noise, on_step)
        self.at(field, x, 1.0, condition)
        return x


class FixedSteps(Euler):
    def with_num_steps(self, num_steps):
        return self


class ChangesItself(Euler):
    def with_num_steps(self, num_steps):
        self.__init__(self.config.model_copy(update={"num_steps": num_steps}))
        return type(self)(self.config)


class OneBuffer(Euler):
    """Updates a copy of x0 in place, so that everyone who keeps a state keeps the last one."""

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        return super().sample(field, x0.clone(), condition, noise, on_step)

    def step(self, field, x, t, dt, condition, noise):
        return x.add_(dt * self.at(field, x, t, condition))


class SilentEnd(Euler):
    """Does not report the last state."""

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        heard = on_step and (lambda t, x: None if t == 1 else on_step(t, x))
        return super().sample(field, x0, condition, noise, heard)


class OverwritesStart(Euler):
    def step(self, field, x, t, dt, condition, noise):
        return x.add_(dt * self.at(field, x, t, condition))


class AlwaysSingle(Euler):
    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        return super().sample(field, x0.float(), condition, noise, on_step)


class Unconditional(Euler):
    def at(self, field, x, t, condition):
        return super().at(field, x, t, None)


class Centered(Euler):
    """Pulls the samples of a batch towards their mean."""

    def step(self, field, x, t, dt, condition, noise):
        return super().step(field, x, t, dt, condition, noise) + 1e-9 * (x.mean(0) - x)


class Jittered(Euler):
    """Draws from torch's global generator."""

    def at(self, field, x, t, condition):
        return super().at(field, x + 1e-3 * torch.randn_like(x), t, condition)


class Careless(HeunEuler):
    """Lets a step have an error as large as that promised for the whole."""

    share = 1000


class NoTolerance(HeunEuler):
    def __init__(self, config):
        super().__init__(config)
        self.promised, self.tolerance = config.tolerance, None


class GlobalNoise(EulerMaruyama):
    def draw(self, x, t, dt, noise):
        return torch.randn_like(x)


class NoNoise(EulerMaruyama):
    def draw(self, x, t, dt, noise):
        return 0 * x


class OneDraw(EulerMaruyama):
    """Uses the first draw in every step."""

    def draw(self, x, t, dt, noise):
        return noise(0.0, 1.0)


class LostRoot(EulerMaruyama):
    """Forgets the 2 in sqrt(2 (1 - t) dt)."""

    def amplitude(self, t, dt):
        return ((1 - t) * dt) ** 0.5


class Shouting(EulerMaruyama):
    """Noise that is 5 % too strong."""

    def amplitude(self, t, dt):
        return 1.05 * super().amplitude(t, dt)


class NumpySeeded(Euler):
    """Is built with numpy's global generator."""

    def __init__(self, config):
        super().__init__(config)
        self.shift = np.random.rand()  # noqa: NPY002


class Unlike(Euler):
    """Differs from build to build."""

    built = 0

    def __init__(self, config):
        super().__init__(config)
        Unlike.built += 1
        self.factor = 1 + 1e-6 * Unlike.built

    def at(self, field, x, t, condition):
        return self.factor * super().at(field, x, t, condition)


class Unfinished:
    def __init__(self, config):
        self.order, self.times, self.nfe, self.tolerance = 1.0, (), 0, None

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        return x0
