"""The grids."""

from __future__ import annotations

from . import ShiftedConfig, UniformConfig


class Uniform:
    """k / n for k = 0 ... n."""

    def __init__(self, config: UniformConfig) -> None:
        pass

    def times(self, num_steps: int) -> tuple[float, ...]:
        """Return the times."""
        return tuple(k / num_steps for k in range(num_steps + 1))


class Shifted:
    """k / (k + shift (n - k)) for k = 0 ... n."""

    def __init__(self, config: ShiftedConfig) -> None:
        self.shift = config.shift

    def times(self, num_steps: int) -> tuple[float, ...]:
        """Return the times."""
        return tuple(k / (k + self.shift * (num_steps - k)) for k in range(num_steps + 1))
