"""Probability paths x_t = alpha(t) x1 + sigma(t) x0, and all conversions between network predictions.

On a given path, the velocity, the denoised sample, the noise and the score determine each other. All conversions
between them are here.
Source: Lipman et al. 2023, arXiv:2210.02747, Sec. 4; Albergo et al. 2023, arXiv:2303.08797, Sec. 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def expand(t: Tensor, like: Tensor) -> Tensor:
    """Return t, (B,), with an axis of length 1 for every other axis of `like`: (B, 1, ..., 1)."""
    return t.reshape(-1, *(1,) * (like.ndim - 1))


class Path:
    """Base class of paths: four coefficients, from which all conversions follow. All tensors are (B, *S); t is (B,).

    With x_t = alpha x1 + sigma x0 and v = alpha' x1 + sigma' x0, the determinant alpha sigma' - sigma alpha'
    (-1 on the linear path) inverts the pair. A path has alpha(0) = sigma(1) = 0, alpha(1) = sigma(0) = 1, and alpha /
    sigma increases, so that the determinant is negative.
    """

    def alpha(self, t: Tensor) -> Tensor:
        """Return the coefficient of x1, of the shape of t."""
        raise NotImplementedError

    def sigma(self, t: Tensor) -> Tensor:
        """Return the coefficient of x0, of the shape of t."""
        raise NotImplementedError

    def d_alpha(self, t: Tensor) -> Tensor:
        """Return the derivative of alpha with respect to t."""
        raise NotImplementedError

    def d_sigma(self, t: Tensor) -> Tensor:
        """Return the derivative of sigma with respect to t."""
        raise NotImplementedError

    def time_of(self, noise_level: float) -> float:
        """Return the time at which sigma / alpha has a value above 0, by bisection in float64."""
        import torch

        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            t = torch.tensor(middle, dtype=torch.float64)
            low, high = (middle, high) if self.sigma(t) > noise_level * self.alpha(t) else (low, middle)
        return (low + high) / 2

    @property
    def name(self) -> str:
        """Return the lower-case class name, with the public attributes that the path was built with.

        Paths with different names are different, so velocity errors on them are not comparable.
        """
        values = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if name[0] != "_")
        return type(self).__name__.lower() + (f"({values})" if values else "")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.name)

    def _at(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        t = expand(t, like)
        return self.alpha(t), self.sigma(t), self.d_alpha(t), self.d_sigma(t)

    def interpolate(self, x0: Tensor, x1: Tensor, t: Tensor) -> Tensor:
        """Return x_t = alpha x1 + sigma x0."""
        alpha, sigma, _, _ = self._at(t, x1)
        return alpha * x1 + sigma * x0

    def velocity(self, x0: Tensor, x1: Tensor, t: Tensor) -> Tensor:
        """Return v = alpha' x1 + sigma' x0."""
        _, _, d_alpha, d_sigma = self._at(t, x1)
        return d_alpha * x1 + d_sigma * x0

    def denoised_from_velocity(self, v: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return E[x1 | x_t] = (sigma' x_t - sigma v) / (alpha sigma' - sigma alpha'); x_t + (1 - t) v if linear."""
        alpha, sigma, d_alpha, d_sigma = self._at(t, x_t)
        return (d_sigma * x_t - sigma * v) / (alpha * d_sigma - sigma * d_alpha)

    def noise_from_velocity(self, v: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return E[x0 | x_t] = (alpha v - alpha' x_t) / (alpha sigma' - sigma alpha'); x_t - t v if linear."""
        alpha, sigma, d_alpha, d_sigma = self._at(t, x_t)
        return (alpha * v - d_alpha * x_t) / (alpha * d_sigma - sigma * d_alpha)

    def denoised_from_noise(self, x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return E[x1 | x_t] = (x_t - sigma x0) / alpha; a pole at t = 0."""
        alpha, sigma, _, _ = self._at(t, x_t)
        return (x_t - sigma * x0) / alpha

    def noise_from_denoised(self, x1: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return E[x0 | x_t] = (x_t - alpha x1) / sigma; a pole at t = 1."""
        alpha, sigma, _, _ = self._at(t, x_t)
        return (x_t - alpha * x1) / sigma

    def score_from_noise(self, x0: Tensor, t: Tensor) -> Tensor:
        """Return grad log p_t(x_t) = -E[x0 | x_t] / sigma, for x0 ~ N(0, I); a pole at t = 1."""
        return -x0 / self._at(t, x0)[1]

    def velocity_from_denoised(self, x1: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return v = alpha' x1 + sigma' (x_t - alpha x1) / sigma; (x1 - x_t) / (1 - t) if linear. A pole at t = 1."""
        alpha, sigma, d_alpha, d_sigma = self._at(t, x_t)
        return d_alpha * x1 + d_sigma * (x_t - alpha * x1) / sigma

    def velocity_from_noise(self, x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return v = alpha' (x_t - sigma x0) / alpha + sigma' x0; (x_t - x0) / t if linear. A pole at t = 0."""
        alpha, sigma, d_alpha, d_sigma = self._at(t, x_t)
        return d_alpha * (x_t - sigma * x0) / alpha + d_sigma * x0

    def convert(self, value: Tensor, x_t: Tensor, t: Tensor, given: str, wanted: str) -> Tensor:
        """Return `value` at (x_t, t) converted between "velocity", "denoised" and "noise"."""
        if given == wanted:
            return value
        conversion: Callable[[Tensor, Tensor, Tensor], Tensor] = getattr(self, f"{wanted}_from_{given}")
        return conversion(value, x_t, t)

    def size_of(self, quantity: str, t: Tensor) -> Tensor:
        """Return by how much a quantity changes if the velocity changes by 1, at t: (B,), with its sign."""
        if quantity == "velocity":
            return t * 0 + 1
        determinant = self.alpha(t) * self.d_sigma(t) - self.sigma(t) * self.d_alpha(t)
        return (-self.sigma(t) if quantity == "denoised" else self.alpha(t)) / determinant


class Linear(Path):
    """The linear path: alpha = t, sigma = 1 - t (Liu et al. 2023, arXiv:2209.03003, Eq. 1)."""

    def alpha(self, t: Tensor) -> Tensor:
        """Return t."""
        return t

    def sigma(self, t: Tensor) -> Tensor:
        """Return 1 - t."""
        return 1 - t

    def d_alpha(self, t: Tensor) -> Tensor:
        """Return 1."""
        return t * 0 + 1

    def d_sigma(self, t: Tensor) -> Tensor:
        """Return -1."""
        return t * 0 - 1


LINEAR = Linear()


def gaussian_velocity(x_t: Tensor, t: Tensor, mean: Tensor, std: float, path: Path = LINEAR) -> Tensor:
    """Return the optimal velocity for data N(mean, std² I) on a path from N(0, I).

    v* = alpha' mean + c (x_t - alpha mean), c = (alpha alpha' std² + sigma sigma') / D, D = alpha² std² + sigma²: the
    regression of v on x_t, which are jointly Gaussian. If linear, c = (t std² - (1 - t)) / D, D = t² std² + (1 - t)².
    """
    alpha, sigma, d_alpha, d_sigma = path._at(t, x_t)
    variance = alpha**2 * std**2 + sigma**2
    return d_alpha * mean + (alpha * d_alpha * std**2 + sigma * d_sigma) / variance * (x_t - alpha * mean)


def gaussian_velocity_error(t: Tensor, std: float, path: Path = LINEAR) -> Tensor:
    """Return the smallest mean squared velocity error per dimension at time t for N(mean, std² I).

    Var(v | x_t) = (alpha'² std² + sigma'²) - (alpha alpha' std² + sigma sigma')² / D
    = std² (alpha sigma' - sigma alpha')² / D. If linear, that is std² / D, whose integral over t from 0 to 1 is
    (pi / 2) std: with D = (1 + std²) t² - 2 t + 1, an antiderivative is std · atan(((1 + std²) t - 1) / std), and
    atan(std) + atan(1 / std) = pi / 2.
    """
    alpha, sigma, d_alpha, d_sigma = path._at(t, t)
    return std**2 * (alpha * d_sigma - sigma * d_alpha) ** 2 / (alpha**2 * std**2 + sigma**2)
