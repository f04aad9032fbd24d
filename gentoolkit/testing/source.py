"""Contracts for sources: draws of x0 that depend only on their key, and have the distribution that is declared."""

from __future__ import annotations

import hashlib
import json
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gentoolkit.api import Component, DataSpec
from gentoolkit.registry import Entry
from gentoolkit.testing.contracts import MOST_SAMPLES, Case, contract, does_not_apply, require
from gentoolkit.testing.measures import global_randomness_kept, in_fresh_interpreter, z_bound

#: Number of rows in which no two may be equal, and of rows for the moments.
ROWS, MOMENT_ROWS = 100_000, 65_536
#: Row numbers as training and sampling use them: the class · 2^40 + the index, or the step · batch size + the row.
FAR = 5 * 2**40
_DIGEST = """
import sys
from gentoolkit.testing.source import digest_elsewhere
print(digest_elsewhere(sys.argv[1]))
"""


def _numbers(count: int, first: int = 0) -> np.ndarray:
    return np.arange(first, first + count)


def _draws(case: Case, source: Any, count: int, first: int = 0) -> Tensor:
    """Return rows first to first + count - 1, (count, D), in calls of at most MOST_SAMPLES."""
    calls = np.split(_numbers(count, first), range(MOST_SAMPLES, count, MOST_SAMPLES))
    return torch.cat([source.draw(case.seed, "contract", rows).flatten(1) for rows in calls])


def observe(case: Case, source: Any) -> dict[str, Tensor]:
    """Return what must be equal for two equal sources."""
    return {"x0": _draws(case, source, 64)}


@contract("source.draw")
def draw(case: Case) -> None:
    """`draw` returns one row for each number, also for none: finite float32 numbers of the spec's shape, on the CPU.

    Power: any such fault in 0, 1 or 257 rows, or in 257 rows with numbers from 5 · 2^40 on.
    """
    source = case.build()
    for rows in (_numbers(0), _numbers(1), _numbers(257), _numbers(257, FAR)):
        x0 = source.draw(case.seed, "contract", rows)
        got = (tuple(x0.shape), x0.dtype, x0.device.type)
        expected = ((len(rows), *case.spec.shape), torch.float32, "cpu")
        require(got == expected, f"x0 of {len(rows)} rows is {got}; expected {expected}")
        require(x0.isfinite().all(), "x0 is not finite")


@contract("source.rows")
def rows(case: Case) -> None:
    """A row depends only on its key: in any order, twice, alone, after other draws, and without a global generator.

    A resumed run, and one with other micro-batches, then draw the same x0.

    Power: any bit of 257 rows; 9 of them are drawn alone.
    """
    source = case.build()
    with global_randomness_kept():
        numbers = np.concatenate([_numbers(129), _numbers(128, FAR)])
        whole = source.draw(case.seed, "contract", numbers)
        order = np.random.default_rng(case.seed).permutation(len(numbers))
        for name, chosen in (("shuffled", order), ("twice", np.repeat(_numbers(257), 2))):
            other = source.draw(case.seed, "contract", numbers[chosen])
            require(torch.equal(other, whole[chosen]), f"rows drawn {name} differ from those drawn in order")
        for k in range(0, 257, 32):
            alone = source.draw(case.seed, "contract", numbers[k : k + 1])
            require(torch.equal(alone, whole[k : k + 1]), f"row {numbers[k]} differs when it is drawn alone")


@contract("source.processes")
def processes(case: Case) -> None:
    """In a fresh interpreter, the same config, seed and rows give the same x0, byte for byte.

    Power: any bit of 64 rows.
    """
    component, spec = case.entry.component, case.spec
    module, name = component.config.__module__, component.config.__qualname__
    description = json.dumps([module, name, component.factory, dict(component.tiny), spec.shape, case.seed])
    there = in_fresh_interpreter(_DIGEST, description)
    require(there == digest(case), "x0 differs in a fresh interpreter with the same config, seed and rows")


def digest(case: Case) -> str:
    """Return a digest of 64 rows."""
    return hashlib.sha256(_draws(case, case.build(), 64).numpy().tobytes()).hexdigest()


def digest_elsewhere(description: str) -> str:
    """Return `digest` of a source that the contract `processes` describes; called in another process."""
    module, name, factory, tiny, shape, seed = json.loads(description)
    config = getattr(import_module(module), name)
    component = Component("source", config, factory, tiny, DataSpec(tuple(shape)))
    return digest(Case(Entry("source", component, "elsewhere", "0"), seed))


@contract("source.keys")
def keys(case: Case) -> None:
    """The seed, the purpose and the number of a row all change its x0.

    If a source draws from finitely many points (trait "finite"), up to half of the rows may be equal by chance.

    Power: a part of the key without effect in any of 512 rows; if "finite", in more than half of them.
    """
    source, most = case.build(), 256 if "finite" in case.traits else 0
    first = source.draw(case.seed, "contract", _numbers(512)).flatten(1)
    others = {
        "seed": source.draw(case.seed + 1, "contract", _numbers(512)),
        "purpose": source.draw(case.seed, "other", _numbers(512)),
        "number": source.draw(case.seed, "contract", _numbers(512, 512)),
        "upper half of the number": source.draw(case.seed, "contract", _numbers(512, FAR)),
    }
    for name, other in others.items():
        equal = int((first == other.flatten(1)).all(1).sum())
        require(equal <= most, f"{equal} of 512 rows are the same for another {name}; expected at most {most}")


@contract("source.distinct", skips={"finite"})
def distinct(case: Case) -> None:
    """No two of 100,000 rows are equal; otherwise several samples of a run would start from the same x0.

    Skipped for sources with the trait "finite", and for samples of one number, which float32 repeats by chance.

    Power: two equal rows.
    """
    if len(case.spec.shape) == 1 and case.spec.shape[0] == 1:
        does_not_apply("a sample is a single number")
    count = len(np.unique(_draws(case, case.build(), ROWS).numpy(), axis=0))
    require(count == ROWS, f"{ROWS - count} of {ROWS} rows repeat another row")


@contract("source.gaussian")
def gaussian(case: Case) -> None:
    """A source that offers "gaussian" draws x0 ~ N(0, I).

    In every element of 65,536 rows, the mean must be 0, the variance 1 and the fourth moment 3, and elements must be
    uncorrelated with each other and with those of the next row, each up to chance: a normal number, its square and its
    fourth power have the variances 1, 2 and 96.

    Power: in any element a mean of 0.03, a variance of 1.05, or a fourth moment that is off by 0.3 (that of a uniform
    distribution is 1.8); a correlation of 0.03.
    """
    if "gaussian" not in case.config.offers():
        does_not_apply("the source does not offer 'gaussian'")
    x = _draws(case, case.build(), MOMENT_ROWS).double()
    root, dims = len(x) ** 0.5, x.shape[1]
    scores = {
        "mean": root * x.mean(0),
        "variance - 1": root * (x.square().mean(0) - 1) / 2**0.5,
        "fourth moment - 3": root * (x.pow(4).mean(0) - 3) / 96**0.5,
        "covariance of elements": (x.T @ x / root).fill_diagonal_(0),
        "covariance with the next row": x[1:].T @ x[:-1] / root,
    }
    worst = {name: z.flatten()[z.abs().argmax()].item() for name, z in scores.items()}
    bound = z_bound(dims * (3 + 2 * dims))
    table = ", ".join(f"{name}: {z:.1f}" for name, z in worst.items())
    require(max(map(abs, worst.values())) <= bound, f"not N(0, I); z-scores {table}; expected within {bound:.1f}")
