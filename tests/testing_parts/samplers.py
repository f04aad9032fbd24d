"""Euler, Heun, a method of order 4, an adaptive pair and Euler-Maruyama."""

import torch


class Euler:
    order = 1.0
    tolerance = None

    def __init__(self, config):
        self.config = config
        n = config.num_steps
        self.nfe, self.times = n, tuple(k / n for k in range(n))

    def with_num_steps(self, num_steps):
        return type(self)(self.config.model_copy(update={"num_steps": num_steps}))

    def step(self, field, x, t, dt, condition, noise):
        return x + dt * self.at(field, x, t, condition)

    def at(self, field, x, t, condition):
        return field.velocity(x, torch.full((len(x),), t, dtype=x.dtype), condition)

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        n, x = self.config.num_steps, x0
        first, last = field.domain
        for k in range(n):
            if on_step:
                on_step(k / n, x)
            t, s = max(k / n, first), min((k + 1) / n, last)
            x = self.step(field, x, t, s - t, condition, noise)
        if last < 1:
            x = field.denoised(x, torch.tensor(last, dtype=x.dtype), condition)
        if on_step:
            on_step(1.0, x)
        return x


class Heun(Euler):
    """The trapezoidal rule with an Euler predictor."""

    order = 2.0

    def __init__(self, config):
        super().__init__(config)
        n = config.num_steps
        self.nfe, self.times = 2 * n, tuple(k / n for j in range(n) for k in (j, j + 1))

    def step(self, field, x, t, dt, condition, noise):
        v = self.at(field, x, t, condition)
        w = self.at(field, x + dt * v, t + dt, condition)
        return x + dt / 2 * (v + w)


class RungeKutta4(Euler):
    order = 4.0

    def __init__(self, config):
        super().__init__(config)
        n = config.num_steps
        self.nfe, self.times = 4 * n, tuple((j + c) / n for j in range(n) for c in (0, 0.5, 0.5, 1))

    def step(self, field, x, t, dt, condition, noise):
        k1 = self.at(field, x, t, condition)
        k2 = self.at(field, x + dt / 2 * k1, t + dt / 2, condition)
        k3 = self.at(field, x + dt / 2 * k2, t + dt / 2, condition)
        k4 = self.at(field, x + dt * k3, t + dt, condition)
        return x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


class HeunEuler:
    """The embedded pair of Heun and Euler. One step size for the whole batch, so its samples are not independent."""

    order = times = nfe = None
    share = 10  # Euler's error that is allowed, over the tolerance; that of Heun is far smaller

    def __init__(self, config):
        self.config = config
        self.tolerance = config.tolerance

    def with_num_steps(self, num_steps):
        return self

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        (first, last), dt = field.domain, 0.01
        x, t = x0, first
        if on_step:
            on_step(0.0, x)
        while t < last:
            dt = min(dt, last - t)
            end = last if t + dt > last - 1e-12 else t + dt
            at = [torch.full((len(x),), s, dtype=x.dtype) for s in (t, end)]
            v = field.velocity(x, at[0], condition)
            w = field.velocity(x + dt * v, at[1], condition)
            error = (dt / 2 * (w - v)).abs().max().item()
            allowed = self.share * self.tolerance * dt
            if error <= allowed or dt < 1e-6:
                x, t = x + dt / 2 * (v + w), end
                if on_step and t < last:
                    on_step(t, x)
            dt *= min(4.0, max(0.2, 0.9 * allowed / max(error, 1e-300)))
        if last < 1:
            x = field.denoised(x, torch.tensor(last, dtype=x.dtype), condition)
        if on_step:
            on_step(1.0, x)
        return x


class EulerMaruyama(Euler):
    """dx = (v - E[x0 | x]) dt + sqrt(2 (1 - t)) dW: the score term g²/2 · score with g² = 2 sigma."""

    order = None

    def step(self, field, x, t, dt, condition, noise):
        times = torch.full((len(x),), t, dtype=x.dtype)
        v = field.velocity(x, times, condition)
        drift = v - field.path.noise_from_velocity(v, x, times)
        return x + dt * drift + self.amplitude(t, dt) * self.draw(x, t, dt, noise)

    def amplitude(self, t, dt):
        return (2 * (1 - t) * dt) ** 0.5

    def draw(self, x, t, dt, noise):
        return noise(t, t + dt)
