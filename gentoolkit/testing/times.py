"""Contracts for distributions of training times."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.paths import LINEAR
from gentoolkit.protocols import Times
from gentoolkit.testing.contracts import Case, contract, require
from gentoolkit.testing.measures import global_randomness_kept

#: Number of equally spaced u in [0, 1).
MANY = 4096


def _uniform(dtype: torch.dtype = torch.float64) -> Tensor:
    return (torch.arange(MANY, dtype=torch.float64) / MANY).to(dtype)


def observe(case: Case, times: Times) -> dict[str, Tensor]:
    """Return what must be equal for two equal distributions."""
    return {"times": times.quantile(_uniform(), LINEAR)}


@contract("times.quantile")
def quantile(case: Case) -> None:
    """`quantile` has the shape and dtype of u, lies in [0, 1], and does not decrease with u, which starts at exactly 0.

    Power: any such fault at 4,096 equally spaced u, in float32 or float64.
    """
    times = case.build()
    for dtype in (torch.float32, torch.float64):
        u = _uniform(dtype)
        t = times.quantile(u, LINEAR)
        got, expected = (tuple(t.shape), t.dtype), (tuple(u.shape), dtype)
        require(got == expected, f"the times for u {expected} are {got}; expected the same shape and dtype")
        outside = t[~((t >= 0) & (t <= 1))]
        require(not len(outside), f"a time is {outside[:1].tolist()}; expected 0 to 1")
        falls = (t.diff() < 0).nonzero().flatten()[:1].tolist()
        for k in falls:
            require(False, f"quantile({u[k]:.4g}) = {t[k]:.6g}, but quantile({u[k + 1]:.4g}) = {t[k + 1]:.6g}")


@contract("times.rows")
def rows(case: Case) -> None:
    """A time depends only on its own u, and no random generator is used; then times can be stratified, and resumed.

    Power: any difference, and any draw from the global generators.
    """
    times, u = case.build(), _uniform()
    with global_randomness_kept():
        together = times.quantile(u, LINEAR)
        again = times.quantile(u.flip(0), LINEAR).flip(0)
        few = times.quantile(u[::64], LINEAR)
    require(torch.equal(together, again), "the times change with the order of u")
    require((together[::64] - few).abs().max() <= 1e-12, "the times change when others are left out")


@contract("times.coverage")
def coverage(case: Case) -> None:
    """The distribution is continuous: no two u above 0 have the same time.

    Otherwise a network would be trained many times at one t, and never at the t around it. Times so close to 0 or 1
    that float64 can't tell them apart are excluded.

    Power: any interval of u of length 1/4096 with a constant time that is at least 1e-9 away from 0 and 1.
    """
    t = case.build().quantile(_uniform(), LINEAR)[1:]
    same = (t.diff() == 0) & (t[1:] > 1e-9) & (t[1:] < 1 - 1e-9)
    where = t[1:][same][:1].tolist()
    require(not same.any(), f"the time {where} has more than 1/{MANY} of the probability")
