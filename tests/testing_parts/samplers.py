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

    def step(self, field, x, k, dt, condition, noise):
        return x + dt * self.at(field, x, k * dt, condition)

    def at(self, field, x, t, condition):
        return field(x, torch.full((len(x),), t, dtype=x.dtype), condition)

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        n, x = self.config.num_steps, x0
        for k in range(n):
            if on_step:
                on_step(k / n, x)
            x = self.step(field, x, k, 1 / n, condition, noise)
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

    def step(self, field, x, k, dt, condition, noise):
        v = self.at(field, x, k * dt, condition)
        w = self.at(field, x + dt * v, (k + 1) / self.config.num_steps, condition)
        return x + dt / 2 * (v + w)


class RungeKutta4(Euler):
    order = 4.0

    def __init__(self, config):
        super().__init__(config)
        n = config.num_steps
        self.nfe, self.times = 4 * n, tuple((j + c) / n for j in range(n) for c in (0, 0.5, 0.5, 1))

    def step(self, field, x, k, dt, condition, noise):
        n = self.config.num_steps
        k1 = self.at(field, x, k / n, condition)
        k2 = self.at(field, x + dt / 2 * k1, (k + 0.5) / n, condition)
        k3 = self.at(field, x + dt / 2 * k2, (k + 0.5) / n, condition)
        k4 = self.at(field, x + dt * k3, (k + 1) / n, condition)
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
        x, t, dt = x0, 0.0, 0.01
        if on_step:
            on_step(t, x)
        while t < 1:
            dt = min(dt, 1 - t)
            end = 1.0 if t + dt > 1 - 1e-12 else t + dt
            at = [torch.full((len(x),), s, dtype=x.dtype) for s in (t, end)]
            v = field(x, at[0], condition)
            w = field(x + dt * v, at[1], condition)
            error = (dt / 2 * (w - v)).abs().max().item()
            allowed = self.share * self.tolerance * dt
            if error <= allowed or dt < 1e-6:
                x, t = x + dt / 2 * (v + w), end
                if on_step:
                    on_step(t, x)
            dt *= min(4.0, max(0.2, 0.9 * allowed / max(error, 1e-300)))
        return x


class EulerMaruyama(Euler):
    """dx = (v - E[x0 | x]) dt + sqrt(2 (1 - t)) dW: the score term g²/2 · score with g² = 2 sigma."""

    order = None

    def step(self, field, x, k, dt, condition, noise):
        t = torch.full((len(x),), k * dt, dtype=x.dtype)
        v = field(x, t, condition)
        drift = v - field.path.noise_from_velocity(v, x, t)
        return x + dt * drift + self.amplitude(k * dt, dt) * self.draw(x, k, noise)

    def amplitude(self, t, dt):
        return (2 * (1 - t) * dt) ** 0.5

    def draw(self, x, k, noise):
        return noise(k)
