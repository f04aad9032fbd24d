"""Which held-out samples the metrics take: some of each class, and all classes together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gentoolkit.errors import GentoolError, UsageError
from gentoolkit.protocols import Dataset
from gentoolkit.randomness import Permutation

#: The group of samples of all classes together, and the one group of data that has no classes.
ALL = "all"

#: Of so many held-out samples, or of all, the labels are counted for the share of each class.
COUNTED = 2048

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """What is compared with what.

    Attributes:
        real: Held-out rows, (N,); as many samples are generated, with the conditions of these rows.
        floor: Other held-out rows, (N,), with the same number of each class.
        pooled: Positions in `real` and `floor` of the samples that stand for the whole data: an array for each class,
            as long as the class is frequent.
        per_class: Label as text -> positions of its samples; nothing for data without labels.
        left_out: Label as text -> how many held-out samples there are of a class that has too few to be in `per_class`.
    """

    real: Rows
    floor: Rows
    pooled: tuple[Rows, ...]
    per_class: Mapping[str, Rows]
    left_out: Mapping[str, int]


def choose_groups(
    dataset: Dataset, per_class: int, samples: int | None, classes: Iterable[int] | None, seed: int
) -> Groups:
    """Choose the held-out samples to evaluate on.

    Of each class the first `2 per_class` samples are taken, one half against the other for the floor. The share of
    each class in the pooled samples is its share in the held-out data. The real, the generated and the floor's
    samples have the same number of it, so that chance in the shares is no difference between them. What a class has
    in the pooled samples is, as far as it goes, part of its own, so that hardly more samples are generated than for
    the classes alone.

    Args:
        dataset: The held-out split.
        per_class: The setting `evaluate.per_class`.
        samples: The setting `evaluate.samples`; None for `per_class` of each class, or half of what there is.
        classes: The labels, or None for data without labels.
        seed: What the order is keyed by.

    Raises:
        UsageError: There are fewer than twice as many held-out samples, or no class has `2 per_class`.
        GentoolError: The data has no labels.
    """
    classes = list(classes or [])
    if not classes:
        setting, count = ("evaluate.per_class", per_class) if samples is None else ("evaluate.samples", samples)
        _require(len(dataset) >= 2 * count, setting, 2 * count, f"samples, there are {len(dataset)}")
        rows, positions = np.arange(2 * count), np.arange(count)
        return Groups(rows[:count], rows[count:], (positions,), {}, {})
    if samples is None:
        samples = min(per_class * len(classes), len(dataset) // 2)
    _require(len(dataset) >= 2 * samples, "evaluate.samples", 2 * samples, f"samples, there are {len(dataset)}")
    shares = _shares(dataset, samples, classes, seed)
    found = _rows_of_classes(dataset, {label: 2 * max(per_class, share) for label, share in shares.items()})
    short = {label: len(rows) for label, rows in found.items() if len(rows) < 2 * per_class}
    counted = ", ".join(f"{count} of class {label}" for label, count in short.items())
    _require(len(short) < len(classes), "evaluate.per_class", 2 * per_class, f"samples of a class, there are {counted}")

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
    """Return how many of about `samples` samples each class has in the data's own proportions, at most half of it."""
    rows = Permutation(len(dataset), seed, "evaluation")(np.arange(min(len(dataset), max(COUNTED, 2 * samples))))
    labels = np.concatenate([_labels(dataset, rows[k : k + chunk]) for k in range(0, len(rows), chunk)])
    counts = {label: int((labels == label).sum()) for label in classes}
    shares = {label: min(round(samples * count / len(rows)), count // 2) for label, count in counts.items()}
    if sum(shares.values()) < 2:
        raise UsageError(f"evaluate.samples is {samples}, which leaves no two samples of any class; raise it")
    return shares


def group_by_class(
    dataset: Dataset, per_class: int, classes: Iterable[int] | None = None, chunk: int = 256, setting: str = ""
) -> dict[str, Rows]:
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
        _require(not setting or len(dataset) >= per_class, setting, per_class, f"samples, there are {len(dataset)}")
        return {ALL: np.arange(min(per_class, len(dataset)))}
    found = _rows_of_classes(dataset, dict.fromkeys(classes, per_class), chunk)
    missing = [f"{len(rows)} of class {label}" for label, rows in found.items() if len(rows) < per_class]
    counted = ", ".join(missing)
    _require(not (setting and missing), setting, per_class, f"samples of each class, there are {counted}")
    return {str(label): rows for label, rows in found.items() if len(rows)}


def _rows_of_classes(dataset: Dataset, counts: Mapping[int, int], chunk: int = 256) -> dict[int, Rows]:
    """Return the first `counts[label]` rows of each class, or as many as there are; read only as far as needed."""
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
        raise GentoolError("the data has no class labels to group by; group it as a whole (classes=None)")
    return condition.numpy()


def _require(enough: bool, setting: str, count: int, rest: str) -> None:
    if not enough:
        raise UsageError(f"{setting} needs {count} held-out {rest}; lower it or hold out more data")
