"""Tools for contracts of several kinds: statistical bounds, checks of global generators, and fresh interpreters."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from gentoolkit.testing.contracts import require
from gentoolkit.testing.worker import same_modules

#: The probability that a statistical contract fails for a correct component. Contracts run with fixed seeds, so a
#: component that passes once always passes; this is the probability for a new component or seed.
FALSE_ALARM = 1e-6
#: A change below this share of the largest one has no effect on training: the resolution of float32 is 1e-7.
VISIBLE = 1e-6
#: Code that imports a module, loads a distribution's plugins, and prints whether this imported torch.
IMPORT_PLUGIN = """
import importlib, sys
from importlib.metadata import entry_points
from gentoolkit.distributions import canonical
from gentoolkit.plugins import GROUP, load_plugins
module, distribution = sys.argv[1:]
importlib.import_module(module)
load_plugins(p for p in entry_points(group=GROUP) if p.dist and canonical(p.dist.name) == distribution)
print("torch" in sys.modules)
"""


def z_bound(count: int) -> float:
    """Return the bound that the largest |z| of `count` normal scores exceeds with probability at most FALSE_ALARM.

    By Bonferroni's inequality: each score has two tails and gets an equal share.
    """
    return NormalDist().inv_cdf(1 - FALSE_ALARM / (2 * count))


def standard_scores(rows: Tensor) -> Tensor:
    """Return mean / (std / sqrt(n)) of each column of rows, (n, K): (K,) float64."""
    rows = rows.double()
    return rows.mean(0) / rows.std(0) * math.sqrt(len(rows))


def largest_difference(a: Tensor, b: Tensor) -> float:
    """Return max |a - b| / max(1, max |b|), or inf if the shapes differ."""
    if a.shape != b.shape:
        return float("inf")
    if a.numel() == 0:
        return 0.0
    return ((a - b).abs().max() / b.abs().max().clamp(min=1)).item()


def equal_or_none(a: Tensor | None, b: Tensor | None) -> bool:
    """Return whether both are None or both are equal tensors."""
    return a is None if b is None else a is not None and torch.equal(a, b)


@contextmanager
def global_randomness_kept() -> Iterator[None]:
    """Require that the block does not change the global generators of Python, numpy and torch."""
    before = _states()
    yield
    after = _states()
    changed = [name for name in before if before[name] != after[name]]
    require(not changed, f"the global generator of {' and '.join(changed)} was used or seeded; expected no change")


def _states() -> dict[str, object]:
    name, words, *rest = np.random.get_state()  # noqa: NPY002 - it is this old global state that must not change
    return {
        "python": random.getstate(),
        "numpy": (name, np.asarray(words).tobytes(), *rest),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }


def in_fresh_interpreter(code: str, *arguments: str) -> str:
    """Run Python code in a new interpreter with the same module path, and return the last line that it prints.

    Raises:
        ContractError: The code fails; the message ends with the last line of the traceback.
    """
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=same_modules(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    require(done.returncode == 0, f"it fails in a fresh interpreter: {last}")
    return (done.stdout.strip().splitlines() or [""])[-1]
