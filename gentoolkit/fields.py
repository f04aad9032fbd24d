"""Fields, what a trained model is to a sampler, and predictions, how a network's output becomes one.

On a path, the velocity, the denoised sample, the noise and the score at (x_t, t) determine each other; see
`gentoolkit.paths.Path`. A prediction says which of them the network's output gives directly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gentoolkit.paths import LINEAR, Path, expand

if TYPE_CHECKING:
    from torch import Tensor

#: What a network can predict: the velocity v, the denoised sample E[x1 | x_t], or the noise E[x0 | x_t].
Quantity = Literal["velocity", "denoised", "noise"]
#: `(x_t, t, condition) -> quantity`, with x_t (B, *S) and t (B,).
Predict = Callable[["Tensor", "Tensor", "Tensor | None"], "Tensor"]
#: The part of [0, 1] in which a field is defined: the first and the last time.
Domain = tuple[float, float]


@dataclass(frozen=True)
class Field:
    """A model along a path, as samplers see it.

    The methods take x (B, *S), t and the condition, and return (B, *S). t is (B,), or a scalar for the whole batch.

    Attributes:
        predict: The function that computes one of the quantities. The others are converted from it.
        path: The path whose marginals the field transports.
        quantity: What `predict` returns.
        domain: The first and the last time at which the field is defined. The conversion to another quantity can have a
            pole at 0 or 1, where `predict` itself has none: a model that predicts the data has a finite `denoised` at
            t = 1, but no velocity. At other times, the methods return the values of the nearest one.
    """

    predict: Predict
    path: Path = LINEAR
    quantity: Quantity = "velocity"
    domain: Domain = (0.0, 1.0)

    def velocity(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return dx/dt."""
        return self._as("velocity", x, t, condition)

    def denoised(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return E[x1 | x_t = x]."""
        return self._as("denoised", x, t, condition)

    def noise(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return E[x0 | x_t = x]."""
        return self._as("noise", x, t, condition)

    def score(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return grad log p_t(x), for x0 ~ N(0, I); it has a pole at t = 1."""
        return self.path.score_from_noise(self.noise(x, t, condition), t)

    def _as(self, wanted: Quantity, x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        t = t.expand(len(x))
        if self.domain != (0.0, 1.0):
            t = t.clamp(*self.domain)
        return self.path.convert(self.predict(x, t, condition), x, t, self.quantity, wanted)


@dataclass(frozen=True)
class FlowMap(Field):
    """A field that can also jump along its trajectories, such as a mean flow or a consistency model.

    Attributes:
        jumps: `(x, t, s, condition)` -> the state at time s of the trajectory through x at time t, (B, *S).
    """

    jumps: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor] | None = None

    def jump(self, x: Tensor, t: Tensor, s: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the state at time s of the trajectory that passes through x at time t; both (B,) or scalars."""
        assert self.jumps is not None
        return self.jumps(x, t.expand(len(x)), s.expand(len(x)), condition)


class Prediction:
    """Base class of predictions: the quantity is skip(t) x_t + scale(t) F(input(t) x_t, time(t)) for a network F.

    The four coefficients are functions of t, (B,), and the path; they return (B,). By default F predicts the quantity
    itself. Preconditioning as in Karras et al. 2022 (arXiv:2206.00364, Eq. 7) sets all of them.

    Attributes:
        quantity: What is predicted.
    """

    quantity: Quantity = "velocity"

    def domain(self, path: Path) -> Domain:
        """Return the first and the last time at which the model is trained and evaluated."""
        return 0.0, 1.0

    def input(self, t: Tensor, path: Path) -> Tensor:
        """Return the factor of the network's input."""
        return t * 0 + 1

    def time(self, t: Tensor, path: Path) -> Tensor:
        """Return what the network receives as its time."""
        return t

    def skip(self, t: Tensor, path: Path) -> Tensor:
        """Return the factor of x_t in the quantity."""
        return t * 0

    def scale(self, t: Tensor, path: Path) -> Tensor:
        """Return the factor of the network's output in the quantity."""
        return t * 0 + 1

    def field(self, network: Predict, path: Path) -> Field:
        """Return the field of a network `(x, t, condition) -> output`."""

        def predict(x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
            output = network(expand(self.input(t, path), x) * x, self.time(t, path), condition)
            return expand(self.skip(t, path), x) * x + expand(self.scale(t, path), x) * output.to(x.dtype)

        return Field(predict, path, self.quantity, self.domain(path))

    def output_for(self, quantity: Tensor, x_t: Tensor, t: Tensor, path: Path) -> Tensor:
        """Return the network's output that gives a value of the quantity: the inverse of `field`."""
        return (quantity - expand(self.skip(t, path), x_t) * x_t) / expand(self.scale(t, path), x_t)
