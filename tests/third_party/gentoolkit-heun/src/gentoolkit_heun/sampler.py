"""Heun's method for dx/dt = v(x, t): an Euler step, then the mean of the slopes at both ends."""

from gentoolkit.samplers import FixedGrid


class Heun(FixedGrid):
    """x_s = x_t + (s - t) / 2 (v(x_t, t) + v(x_t + (s - t) v(x_t, t), s)); Karras et al. 2022, arXiv:2206.00364."""

    order = 2.0

    def step(self, field, x, t, s, condition):
        """Return the state at time s."""
        v = field.velocity(x, t, condition)
        return x + (s - t) / 2 * (v + field.velocity(x + (s - t) * v, s, condition))
