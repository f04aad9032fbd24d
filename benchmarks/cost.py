"""What a training step costs over depth, width, tokens and batch, and a model of it with three coefficients.

The model. A step of L layers of width D on B samples of N tokens, with MLPs four times as wide, takes

    seconds = a · products + b · values + c

* products: floating-point operations of the matrix products, 2 m k n each. Per token and layer, forward: 24 D² in the
  projections (q, k, v: 6, out: 2, MLP: 16) and 4 N D in attention (q kᵀ and weights · v). The backward has two products
  for each of these, so products = 3 · B N L (24 D² + 4 N D). Modulation, patches and head are left out: about 1 %.
* values: numbers that a layer's forward writes, each of which its backward answers with a gradient. Per token: 20 D
  (two norms, two modulations, q, k and v, two of attention, the MLP's hidden layer and its activation with eight, its
  output, two residual sums), and 2 H N for scores and weights of H heads, here of 32 dimensions each.
  values = B N L (20 D + 2 H N). They cost memory traffic and exponentials.
* c: what is paid once a step: the optimizer, the average, the data, Python.

1 / a is the rate of the products, 1 / b that of the values. All sizes are fitted at once, by least squares of the
relative errors, since the times span two orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from benchmarks.reference import precisions, reference, step_of
from benchmarks.timing import Row, interleaved, ratio
from gentoolkit.recipe import Recipe

SECTION = "cost of a step"
HEAD_WIDTH, PATCH = 32, 2


@dataclass(frozen=True)
class Size:
    """The size of a step; by default the reference's backbone and image with a quarter of its batch."""

    depth: int = 6
    width: int = 256
    tokens: int = 256
    batch: int = 16

    @property
    def products(self) -> int:
        """Return the floating-point operations of forward and backward."""
        per_token = 24 * self.width**2 + 4 * self.tokens * self.width
        return 3 * self.batch * self.tokens * self.depth * per_token

    @property
    def values(self) -> int:
        """Return how many numbers the forward writes."""
        scores = 2 * self.tokens * self.width // HEAD_WIDTH
        return self.batch * self.tokens * self.depth * (20 * self.width + scores)


#: What is varied, the others staying as in `Size()`.
AXES: Mapping[str, Sequence[int]] = {
    "depth": (1, 2, 3, 6, 12),
    "width": (64, 128, 192, 256, 384),
    "tokens": (64, 144, 256, 400, 576),
    "batch": (4, 8, 16, 32, 64),
}


@dataclass(frozen=True)
class CostModel:
    """Seconds = a · products + b · values + c."""

    a: float
    b: float
    c: float

    def __call__(self, size: Size) -> float:
        """Return the seconds of a step."""
        return self.a * size.products + self.b * size.values + self.c

    def __str__(self) -> str:
        """Return the two rates and what a step costs in any case."""
        products, values = (f"{1e-9 / k:.3g}" if k else "unlimited" for k in (self.a, self.b))
        return f"{products} GFLOP/s in products, {values} G values/s, {1e3 * self.c:.3g} ms a step"


@dataclass(frozen=True)
class Cost:
    """Measured steps and the model fitted to them.

    Attributes:
        precision: "fp32" or "bf16".
        times: Size -> the seconds of a step, one a round.
        model: The fit to the medians.
    """

    precision: str
    times: Mapping[Size, list[float]]
    model: CostModel


def measure_cost(rounds: int = 5, axes: Mapping[str, Sequence[int]] = AXES) -> Cost:
    """Time a whole training step of every size in turn, and fit the model."""
    precision = precisions()[-1]
    sizes = dict.fromkeys([Size(), *(replace(Size(), **{axis: n}) for axis, values in axes.items() for n in values)])
    steps = {str(size): step_of(recipe_of(size), precision) for size in sizes}
    times = interleaved(steps, rounds)
    by_size = {size: times[str(size)] for size in sizes}
    return Cost(precision, by_size, fit(by_size))


def recipe_of(size: Size) -> Recipe:
    """Return the reference recipe at another size."""
    return reference(
        f"dataset.image_size={round(size.tokens**0.5) * PATCH}",
        f"backbone.depth={size.depth}",
        f"backbone.hidden_size={size.width}",
        f"backbone.num_heads={size.width // HEAD_WIDTH}",
        f"train.batch_size={size.batch}",
    )


def fit(times: Mapping[Size, list[float]]) -> CostModel:
    """Return the non-negative coefficients with the least sum of squared relative errors of the medians.

    A term that would be negative is left out. With three terms, all ways of leaving some out can be tried.
    """
    seconds = np.array([median(rounds) for rounds in times.values()])
    terms = np.array([(size.products, size.values, 1) for size in times]) / seconds[:, None]
    scale = terms.max(axis=0)  # the terms differ by ten orders of magnitude
    best, smallest = np.zeros(3), np.inf
    for bits in range(1, 8):
        kept = [k for k in range(3) if bits >> k & 1]
        found = np.linalg.lstsq((terms / scale)[:, kept], np.ones(len(seconds)), rcond=None)[0]
        error = np.square((terms / scale)[:, kept] @ found - 1).sum()
        if (found >= 0).all() and error < smallest:
            best, smallest = np.zeros(3), error
            best[kept] = found
    return CostModel(*(best / scale).tolist())


def cost_rows(cost: Cost) -> list[Row]:
    """Return every size against the reference's, with the model's ratio beside; then the times against the model's."""
    model, center = cost.model, Size()
    rows = []
    for size, times in cost.times.items():
        changed = [axis for axis in AXES if getattr(size, axis) != getattr(center, axis)]
        if changed:
            (axis,) = changed
            name = f"{axis} {getattr(size, axis)} / {getattr(center, axis)}"
            note = f"the model says {model(size) / model(center):.2f}"
            rows.append(ratio(SECTION, name, times, cost.times[center], note))
    errors = sorted(median(times) / model(size) for size, times in cost.times.items())
    name, note = f"measured / model, {len(errors)} sizes", f"{cost.precision}: {model}"
    return [*rows, Row(SECTION, name, median(errors), errors[0], errors[-1], note)]
