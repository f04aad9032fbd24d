"""Contracts for paths: the coefficients alpha and sigma, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gentoolkit.paths import Path
from gentoolkit.testing.contracts import Case, contract, require
from gentoolkit.testing.measures import largest_difference

#: Number of times from 0 to 1, both included.
TIMES = 257
COEFFICIENTS = ("alpha", "sigma", "d_alpha", "d_sigma")

Coefficient = Callable[[Tensor], Tensor]


def _times() -> Tensor:
    return torch.linspace(0, 1, TIMES, dtype=torch.float64)


def observe(case: Case, path: Path) -> dict[str, Tensor]:
    """Return what must be equal for two equal paths."""
    return {name: getattr(path, name)(_times()) for name in COEFFICIENTS}


@contract("path.coefficients")
def coefficients(case: Case) -> None:
    """All coefficients are finite, have the shape and dtype of t, and each depends only on its own t.

    Power: any wrong shape or dtype, any value that is not finite at 257 times from 0 to 1, and any dependence on the
    other times of a batch.
    """
    path = case.build()
    for name in COEFFICIENTS:
        function: Coefficient = getattr(path, name)
        for dtype in (torch.float32, torch.float64):
            t = _times().to(dtype).reshape(-1, 1, 1)
            value = function(t)
            got, expected = (tuple(value.shape), value.dtype), (tuple(t.shape), dtype)
            require(got == expected, f"{name} of t {expected} is {got}; expected the same shape and dtype")
            require(value.isfinite().all(), f"{name} is not finite at {t[~value.isfinite()].tolist()[:3]}")
        alone = torch.cat([function(t[None]) for t in _times()])
        difference = largest_difference(function(_times()), alone)
        require(difference <= 1e-15, f"{name} changes by {difference:.1e} with the other times of a batch")


@contract("path.ends")
def ends(case: Case) -> None:
    """The path leads from x0 to x1: alpha(0) = sigma(1) = 0 and alpha(1) = sigma(0) = 1.

    Power: a value that is off by 1e-7 in float64, or by 1e-6 in float32.
    """
    path = case.build()
    for dtype, bound in ((torch.float64, 1e-7), (torch.float32, 1e-6)):
        t = torch.tensor([0.0, 1.0], dtype=dtype)
        for name, expected in (("alpha", [0.0, 1.0]), ("sigma", [1.0, 0.0])):
            value = getattr(path, name)(t)
            error = (value - torch.tensor(expected, dtype=dtype)).abs().max().item()
            require(error <= bound, f"{name} at t = 0 and 1 is {value.tolist()} in {dtype}; expected {expected}")


@contract("path.derivatives")
def derivatives(case: Case) -> None:
    """`d_alpha` and `d_sigma` are the derivatives of alpha and sigma, computed in float64 by automatic differentiation.

    At 255 times between 0 and 1. The ends are excluded, where a derivative may be infinite, but not `d_alpha`.

    Power: a relative error of 1e-6, or an absolute one where the derivative is below 1.
    """
    path, t = case.build(), _times()[1:-1]
    for name in ("alpha", "sigma"):
        at = t.clone().requires_grad_()
        value = getattr(path, name)(at)
        slope = torch.autograd.grad(value.sum(), at)[0] if value.requires_grad else torch.zeros_like(t)
        declared = getattr(path, f"d_{name}")(t)
        error = (declared - slope).abs() / slope.abs().clamp(min=1)
        worst = int(error.argmax())
        found = f"d_{name} is {declared[worst]:.6g} at t = {t[worst]:.4g}, but the derivative of {name} is "
        require(error[worst] <= 1e-6, f"{found}{slope[worst]:.6g}")


@contract("path.monotone")
def monotone(case: Case) -> None:
    """The share of data grows: alpha / sigma increases with t, so alpha sigma' - sigma alpha' is negative.

    All conversions divide by this determinant. At 257 times from 0 to 1.

    Power: a determinant that is -1e-6 or larger at one of these times.
    """
    path, t = case.build(), _times()
    determinant = path.alpha(t) * path.d_sigma(t) - path.sigma(t) * path.d_alpha(t)
    worst = int(determinant.argmax())
    found = f"alpha sigma' - sigma alpha' is {determinant[worst]:.2g} at t = {t[worst]:.4g}"
    require(determinant[worst] < -1e-6, f"{found}; expected below -1e-6")
