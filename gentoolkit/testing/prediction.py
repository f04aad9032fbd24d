"""Contracts for predictions: the coefficients between a network's output and the predicted quantity."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.fields import Prediction
from gentoolkit.paths import LINEAR, Path, gaussian_velocity
from gentoolkit.testing.contracts import Case, contract, require
from gentoolkit.testing.measures import largest_difference

TIMES = 257
COEFFICIENTS = ("input", "time", "skip", "scale")
#: Mean and standard deviation of Gaussian data.
MEAN, STD = 0.8, 0.5


def _times(prediction: Prediction, path: Path = LINEAR) -> Tensor:
    """Return times over the whole domain, both ends included, (257,) float64."""
    first, last = prediction.domain(path)
    return first + (last - first) * torch.linspace(0, 1, TIMES, dtype=torch.float64)


def observe(case: Case, prediction: Prediction) -> dict[str, Tensor]:
    """Return what must be equal for two equal predictions."""
    return {name: getattr(prediction, name)(_times(prediction), LINEAR) for name in COEFFICIENTS}


@contract("prediction.domain")
def domain(case: Case) -> None:
    """The domain lies in [0, 1] and contains [0.2, 0.8] at least, and the quantity is one of the three.

    Power: any such fault.
    """
    prediction = case.build()
    first, last = prediction.domain(LINEAR)
    require(0 <= first <= 0.2 and 0.8 <= last <= 1, f"the domain is [{first}, {last}]; expected [0, 1] or nearly all")
    known = ("velocity", "denoised", "noise")
    require(prediction.quantity in known, f"quantity is {prediction.quantity!r}; expected one of {known}")


@contract("prediction.coefficients")
def coefficients(case: Case) -> None:
    """On the whole domain, the coefficients are finite, have the shape and dtype of t, and depend only on their own t.

    `scale` is not 0, since the network would not matter there, and `input` is not 0, since it would not see x_t.

    Power: any such fault at 257 times, both ends included; a scale or input below 1e-6 of its largest.
    """
    prediction = case.build()
    for dtype in (torch.float32, torch.float64):
        t = _times(prediction).to(dtype)
        for name in COEFFICIENTS:
            value = getattr(prediction, name)(t, LINEAR)
            got, expected = (tuple(value.shape), value.dtype), (tuple(t.shape), dtype)
            require(got == expected, f"{name} for t {expected} is {got}; expected the same shape and dtype")
            require(value.isfinite().all(), f"{name} is not finite at t = {t[~value.isfinite()][:1].tolist()}")
            if name in ("scale", "input"):
                sizes = value.abs()
                where = t[sizes.argmin()]
                require(sizes.min() > 1e-6 * sizes.max(), f"{name} is {value[sizes.argmin()]:.1e} at t = {where:.4g}")
            alone = torch.cat([getattr(prediction, name)(one[None], LINEAR) for one in t])
            error = largest_difference(value, alone)
            require(error <= 1e-6, f"{name} changes by {error:.1e} with the other times of a batch")


@contract("prediction.field")
def field(case: Case) -> None:
    """`field` and `output_for` are inverses, and the field's velocity, denoised sample and noise agree with each other.

    For a network that returns what `output_for` says of the optimal velocity of Gaussian data, the field returns this
    velocity, and E[x1 | x_t] and E[x0 | x_t], on the whole domain, in float64. A conversion near a pole divides the
    rounding error, 1e-16, by the distance; 1e-15 over the smallest of alpha, sigma and scale is allowed.

    Power: a deviation of 1e-12 in the middle of the domain, in any quantity.
    """
    prediction, path = case.build(), LINEAR
    t = _times(prediction)
    x_t, mean = case.normal(TIMES, 1, 3, dtype=torch.float64), torch.full((1, 3), MEAN, dtype=torch.float64)
    v = gaussian_velocity(x_t, t, mean, STD)
    one, s = torch.ones_like(x_t), t.reshape(-1, 1, 1)
    exact = {"velocity": v, "denoised": x_t + (1 - s) * v, "noise": x_t - s * v}
    output = prediction.output_for(exact[prediction.quantity], x_t, t, path)
    found = prediction.field(lambda x, time, condition: output, path)
    scale = prediction.scale(t, path).abs().reshape(-1, 1, 1)
    closest = torch.minimum(torch.minimum(s, 1 - s), scale).clamp(min=1e-3 * one)
    for name, value in exact.items():
        clear = (t > 0) & (t < 1) if name != prediction.quantity else t >= 0
        error = ((getattr(found, name)(x_t, t) - value).abs() * closest)[clear].max().item()
        require(error <= 1e-14, f"the field's {name} differs from the exact one by {error:.1e} beyond rounding")
