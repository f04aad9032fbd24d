"""A source: uniform on a cube."""

from pydantic import Field

from gentoolkit.api import Component, SourceConfig, hookimpl


class CubeConfig(SourceConfig):
    """Every element is uniform between -side / 2 and side / 2."""

    side: float = Field(default=12**0.5, gt=0)
    """By default, the variance is 1."""


class Cube:
    def __init__(self, config, spec):
        self.side, self.shape = config.side, spec.shape

    def draw(self, seed, purpose, rows):
        from gentoolkit.randomness import uniform_rows

        return self.side * (uniform_rows(seed, purpose, rows, self.shape) - 0.5)


@hookimpl
def gentoolkit_components():
    yield Component("cube", CubeConfig, f"{__name__}:Cube")
