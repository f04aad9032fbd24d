"""Metrics between generated and held-out real samples, class by class, beside what else they can be compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gentoolkit.errors import GentoolError, UsageError
from gentoolkit.protocols import Dataset, Metric

#: The one group of data that has no classes.
ALL = "all"


class Comparison(NamedTuple):
    """A metric against real samples.

    Attributes:
        value: Of generated samples.
        floor: Of other real samples.
        exact: Of what the exact field draws from the noise of the generated samples; None where it is not known.
    """

    value: float
    floor: float
    exact: float | None = None


@dataclass(frozen=True)
class MetricResult:
    """What one metric says, class by class.

    Attributes:
        name: The metric's name.
        optimum: The value for equal distributions as the number of samples grows.
        per_class: Group name (a label as text, or "all") -> the figures.
    """

    name: str
    optimum: float
    per_class: Mapping[str, Comparison]

    @property
    def value(self) -> float:
        """The mean of the values over the classes."""
        return math.fsum(c.value for c in self.per_class.values()) / len(self.per_class)

    @property
    def floor(self) -> float:
        """The mean of the floors over the classes."""
        return math.fsum(c.floor for c in self.per_class.values()) / len(self.per_class)

    @property
    def exact(self) -> float | None:
        """The mean of the exact field's values over the classes; None where it is not known."""
        known = [c.exact for c in self.per_class.values() if c.exact is not None]
        return math.fsum(known) / len(known) if known else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; a number that is not finite becomes None."""
        per_class = {name: {key: finite(n) for key, n in c._asdict().items()} for name, c in self.per_class.items()}
        mean = {"value": finite(self.value), "floor": finite(self.floor), "exact": finite(self.exact)}
        return {"name": self.name, "optimum": self.optimum, **mean, "per_class": per_class}


def finite(number: float | None) -> float | None:
    """Return the number, or None where it is not finite: JSON has no word for that."""
    return number if number is not None and math.isfinite(number) else None


def group_by_class(
    dataset: Dataset, per_class: int, classes: Iterable[int] | None = None, chunk: int = 256, setting: str = ""
) -> dict[str, NDArray[np.int64]]:
    """Return the indices of the first `per_class` samples of each class.

    Args:
        dataset: A split; it is read from the start in chunks, only as far as needed.
        per_class: How many samples of each class.
        classes: The labels; None for data without labels (unconditional, or conditioned on vectors), which is one
            group called "all".
        chunk: How many samples are read at once.
        setting: The setting that asks for so many, which an error names; without one, fewer are taken where there are
            fewer, and a class without any is left out.

    Returns:
        Label as text -> indices (per_class,) int64, in the order of `classes`.

    Raises:
        UsageError: The split has too few samples of a class.
        GentoolError: It has no labels.
    """
    if classes is None:
        if setting and len(dataset) < per_class:
            raise _too_few(setting, per_class, f"samples, there are {len(dataset)}")
        return {ALL: np.arange(min(per_class, len(dataset)))}
    found: dict[int, list[int]] = {label: [] for label in classes}
    for start in range(0, len(dataset), chunk):
        if all(len(rows) == per_class for rows in found.values()):
            break
        indices = np.arange(start, min(start + chunk, len(dataset)))
        labels = _labels(dataset, indices)
        for label, rows in found.items():
            rows.extend(indices[labels == label][: per_class - len(rows)].tolist())
    missing = [f"{len(rows)} of class {label}" for label, rows in found.items() if len(rows) < per_class]
    if setting and missing:
        raise _too_few(setting, per_class, f"samples of each class, there are {', '.join(missing)}")
    return {str(label): np.array(rows, dtype=np.int64) for label, rows in found.items() if rows}


def _labels(dataset: Dataset, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    condition = dataset.batch(indices).condition
    if condition is None or condition.ndim != 1:
        raise GentoolError("the data has no class labels to group by; group it as a whole (classes=None)")
    return condition.numpy()


def _too_few(setting: str, per_class: int, rest: str) -> UsageError:
    return UsageError(f"{setting} needs {per_class} held-out {rest}; lower it or hold out more data")


def real_halves(
    dataset: Dataset, groups: Mapping[str, NDArray[np.int64]]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the first and the second half of every group's samples: two disjoint real sets of equally many."""
    samples = {name: dataset.batch(indices[: len(indices) // 2 * 2]).x1 for name, indices in groups.items()}
    halves = {name: x1.chunk(2) for name, x1 in samples.items()}
    return {name: half[0] for name, half in halves.items()}, {name: half[1] for name, half in halves.items()}


def evaluate(
    metrics: Mapping[str, Callable[[], Metric]],
    real: Mapping[str, Tensor],
    generated: Mapping[str, Tensor],
    reference: Mapping[str, Tensor],
    exact: Mapping[str, Tensor] | None = None,
) -> tuple[MetricResult, ...]:
    """Measure generated samples, and a second set of real ones in the same way, against real samples.

    Args:
        metrics: Name -> a builder of fresh metric objects; one is made per class and comparison.
        real: Group name -> held-out samples, (N, *S).
        generated: Group name -> as many generated samples, on any device.
        reference: Group name -> as many other held-out samples; they give the floor.
        exact: Group name -> as many samples of the exact field, where it is known.

    Returns:
        One result per metric, in the order of `metrics`.

    Raises:
        GentoolError: They do not all have the same groups with equally many samples, or a metric refuses them.
    """
    sides = {"real": real, "generated": generated, "reference": reference} | ({"exact": exact} if exact else {})
    sizes = {side: {name: len(samples) for name, samples in groups.items()} for side, groups in sides.items()}
    if any(size != sizes["real"] for size in sizes.values()):
        counts = ", ".join(f"{side} {size}" for side, size in sizes.items())
        raise GentoolError(f"value and floor compare only for equally many samples of each class; got {counts}")
    return tuple(
        MetricResult(
            name,
            build().optimum,
            {
                group: Comparison(
                    _measure(name, group, build(), real[group], generated[group]),
                    _measure(name, group, build(), real[group], reference[group]),
                    _measure(name, group, build(), real[group], exact[group]) if exact else None,
                )
                for group in real
            },
        )
        for name, build in metrics.items()
    )


def _measure(name: str, group: str, metric: Metric, real: Tensor, other: Tensor) -> float:
    try:
        metric.update(real.detach().cpu(), other.detach().cpu())
        return metric.compute()
    except ValueError as fault:
        raise GentoolError(f"metric {name!r}, class {group}: {fault}") from fault
