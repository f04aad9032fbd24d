"""The choice of held-out samples for the metrics, per class and pooled over all classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gentoolkit.errors import GentoolError, UsageError
from gentoolkit.protocols import Dataset
from gentoolkit.randomness import Permutation

#: Name of the group with the samples of all classes, and of the only group if the data has no classes.
ALL = "all"

#: Number of held-out samples whose labels are counted to estimate the proportions of the classes.
COUNTED = 1024

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """The samples that the metrics compare.

    Attributes:
        real: Indices of held-out samples, (N,). N samples are generated, with the conditions of these.
        floor: Indices of other held-out samples, (N,), with the same number of each class.
        pooled: Positions in `real` and `floor` of the samples that represent the whole data: one array per class, with
            lengths in proportion to the class frequencies.
        per_class: Label as text -> positions of its samples. Empty for data without labels.
        left_out: Label as text -> number of held-out samples, for classes with too few to be in `per_class`.
    """

    real: Rows
    floor: Rows
    pooled: tuple[Rows, ...]
    per_class: Mapping[str, Rows]
    left_out: Mapping[str, int]


def choose_groups(
    dataset: Dataset,
    per_class: int,
    samples: int | None,
    classes: Iterable[int] | None,
    seed: int,
    allow_fewer: bool = False,
) -> Groups:
    """Choose the held-out samples to evaluate on.

    Of each class, the first `2 per_class` samples are used, half of them for the floor. The pooled samples have the
    class proportions of the held-out data. The real, generated and floor samples contain equally many of each class, so
    that random differences in the proportions do not affect the comparison. The pooled samples of a class overlap with
    its per-class samples, so that few additional samples need to be generated.

    Args:
        dataset: The held-out split.
        per_class: The setting `evaluate.per_class`.
        samples: The setting `evaluate.samples`. None for `per_class` of each class, but at most half of the split.
        classes: The labels, or None for data without labels.
        seed: Seed for estimating the class proportions.
        allow_fewer: Whether to take fewer samples if there are too few. Classes with fewer are in no case per class.

    Raises:
        UsageError: There are too few held-out samples, or no class has `2 per_class` of them.
        GentoolError: `classes` is given, but the data has no labels.
    """
    classes, half = list(classes or []), len(dataset) // 2
    if allow_fewer:
        samples = min(max(2, half), per_class * max(1, len(classes)) if samples is None else samples)
    if not classes:
        setting, count = ("evaluate.per_class", per_class) if samples is None else ("evaluate.samples", samples)
        _require(len(dataset) >= 2 * count, setting, 2 * count, f"samples, but there are {len(dataset)}")
        rows, positions = np.arange(2 * count), np.arange(count)
        return Groups(rows[:count], rows[count:], (positions,), {}, {})
    if samples is None:
        samples = min(per_class * len(classes), half)
    _require(len(dataset) >= 2 * samples, "evaluate.samples", 2 * samples, f"samples, but there are {len(dataset)}")
    shares = _shares(dataset, samples, classes, seed)
    found = _rows_of_classes(dataset, {label: 2 * max(per_class, share) for label, share in shares.items()})
    short = {label: len(rows) for label, rows in found.items() if len(rows) < 2 * per_class}
    counted = ", ".join(f"{count} of class {label}" for label, count in short.items())
    enough = allow_fewer or len(short) < len(classes)
    _require(enough, "evaluate.per_class", 2 * per_class, f"samples of a class, but there are {counted}")

    taken = {label: shares[label] if label in short else max(per_class, shares[label]) for label in classes}
    starts = dict(zip(classes, np.cumsum([0, *taken.values()]), strict=False))
    return Groups(
        np.concatenate([found[label][:count] for label, count in taken.items()]),
        np.concatenate([found[label][count : 2 * count] for label, count in taken.items()]),
        tuple(starts[label] + np.arange(share) for label, share in shares.items() if share),
        {str(label): starts[label] + np.arange(per_class) for label in classes if label not in short},
        {str(label): count for label, count in short.items()},
    )


def _shares(dataset: Dataset, samples: int, classes: list[int], seed: int, chunk: int = 256) -> dict[int, int]:
    """Split about `samples` samples between the classes in proportion to the data, at most half of each class found."""
    rows = Permutation(len(dataset), seed, "evaluation")(np.arange(min(len(dataset), max(COUNTED, 2 * samples))))
    labels = np.concatenate([_labels(dataset, rows[k : k + chunk]) for k in range(0, len(rows), chunk)])
    counts = {label: int((labels == label).sum()) for label in classes}
    shares = {label: min(round(samples * count / len(rows)), count // 2) for label, count in counts.items()}
    if sum(shares.values()) < 2:
        raise UsageError(f"evaluate.samples is {samples}, which leaves fewer than two samples; raise it")
    return shares


def group_by_class(
    dataset: Dataset, per_class: int, classes: Iterable[int] | None = None, chunk: int = 256, setting: str = ""
) -> dict[str, Rows]:
    """Return the indices of the first `per_class` samples of each class.

    Args:
        dataset: A split. It is read in chunks, only as far as needed.
        per_class: Number of samples per class.
        classes: The labels. None for data without labels (unconditional or conditioned on arrays), which forms one
            group called "all".
        chunk: Number of samples to read at once.
        setting: Name of the setting that requires this number, for the error message. If empty, classes with fewer
            samples are allowed, and classes without samples are left out.

    Returns:
        Label as text -> indices (per_class,) int64, in the order of `classes`.

    Raises:
        UsageError: `setting` is given, and the split has too few samples of a class.
        GentoolError: `classes` is given, but the data has no labels.
    """
    if classes is None:
        _require(not setting or len(dataset) >= per_class, setting, per_class, f"samples, but there are {len(dataset)}")
        return {ALL: np.arange(min(per_class, len(dataset)))}
    found = _rows_of_classes(dataset, dict.fromkeys(classes, per_class), chunk)
    missing = [f"{len(rows)} of class {label}" for label, rows in found.items() if len(rows) < per_class]
    counted = ", ".join(missing)
    _require(not (setting and missing), setting, per_class, f"samples of each class, but there are {counted}")
    return {str(label): rows for label, rows in found.items() if len(rows)}


def _rows_of_classes(dataset: Dataset, counts: Mapping[int, int], chunk: int = 256) -> dict[int, Rows]:
    """Return the first `counts[label]` indices of each class, or fewer if there are not that many."""
    found: dict[int, list[int]] = {label: [] for label in counts}
    for start in range(0, len(dataset), chunk):
        if all(len(rows) == counts[label] for label, rows in found.items()):
            break
        indices = np.arange(start, min(start + chunk, len(dataset)))
        labels = _labels(dataset, indices)
        for label, rows in found.items():
            rows.extend(indices[labels == label][: counts[label] - len(rows)].tolist())
    return {label: np.array(rows, dtype=np.int64) for label, rows in found.items()}


def _labels(dataset: Dataset, indices: Rows) -> NDArray[np.int64]:
    condition = dataset.batch(indices).condition
    if condition is None or condition.ndim != 1:
        raise GentoolError("the data has no class labels; use classes=None to treat it as one group")
    return condition.numpy()


def _require(enough: bool, setting: str, count: int, rest: str) -> None:
    if not enough:
        raise UsageError(f"{setting} needs {count} held-out {rest}; lower it or hold out more data")
