"""A summary of a dataset, before training: sizes, classes, values, repeated samples, and time per batch."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gentoolkit.api import DataSpec, Labels
from gentoolkit.errors import UsageError, writing_failed
from gentoolkit.evaluation import ALL
from gentoolkit.pipeline.blame import blame
from gentoolkit.pipeline.encoded import CHUNK, ELEMENTS
from gentoolkit.pipeline.parts import Splits
from gentoolkit.protocols import Batch, Dataset
from gentoolkit.randomness import Permutation
from gentoolkit.recipe import Recipe
from gentoolkit.records import finite
from gentoolkit.registry import entry_of
from gentoolkit.report import MAX_CLASSES, Look, sample_sheet
from gentoolkit.safefiles import SafePath
from gentoolkit.training import check_batch

STAGE = "reading"
#: Number of samples of a split that are read by default, of batches that are timed, and of points in a picture.
READ, TIMED, DRAWN = 20_000, 10, 2000


@dataclass
class Values:
    """Statistics of the elements of tensors that are read in parts.

    Attributes:
        min: The smallest finite value, `max` the largest; None without any.
        mean: Their mean, and `std` their standard deviation; 0 without any.
        count: Number of finite values.
        not_finite: Number of other values.
    """

    min: float = math.inf
    max: float = -math.inf
    mean: float = 0.0
    std: float = 0.0
    count: int = 0
    not_finite: int = 0

    def add(self, part: Tensor) -> None:
        """Add values. Moments are merged in float64 (Chan, Golub and LeVeque 1983, Eq. 2.1)."""
        x = part[part.isfinite()].double()
        self.not_finite += part.numel() - x.numel()
        if not (size := x.numel()):
            return
        total, shift = self.count + size, x.mean().item() - self.mean
        squares = self.count * self.std**2 + size * x.var(correction=0).item() + shift**2 * self.count * size / total
        self.mean, self.std, self.count = self.mean + shift * size / total, math.sqrt(squares / total), total
        self.min, self.max = min(self.min, x.min().item()), max(self.max, x.max().item())


@dataclass
class SplitSummary:
    """What was read of a split.

    Attributes:
        samples: Number of samples.
        read: Number of samples that were read, evenly spread over the split.
        classes: Label as text -> number of samples read. Empty for data without labels.
        values: "x1", "condition" (arrays) and "x0" (pairs) -> statistics of their elements.
        repeated: Number of samples read that equal an earlier one. Conditions are not compared.
    """

    samples: int
    read: int
    classes: dict[str, int] = field(default_factory=dict)
    values: dict[str, Values] = field(default_factory=dict)
    repeated: int = 0


@dataclass
class DataSummary:
    """A summary of a dataset.

    Attributes:
        dataset: Its type.
        spec: Its description.
        splits: "train" and "held_out" -> what was read.
        shared: Number of held-out samples read that equal a training sample read.
        batch_size: Number of samples in a training batch.
        batch_ms: Median time to read a training batch, in milliseconds; None without training samples.
    """

    dataset: str
    spec: DataSpec
    splits: dict[str, SplitSummary]
    shared: int
    batch_size: int
    batch_ms: float | None

    def content(self) -> dict[str, Any]:
        """Return the summary as plain JSON data."""
        return _plain(asdict(self))


def inspect_data(recipe: Recipe, samples: int = READ, picture: Path | None = None) -> DataSummary:
    """Read the data of a recipe, without a codec, and return a summary.

    Memory does not grow with the data: samples are read in chunks, and 8 bytes are kept of each, a hash to find equal
    samples by. (Of n samples, two different ones have the same hash with a probability of n² / 4e19.)

    Args:
        recipe: The recipe.
        samples: Number of samples of each split to read at most.
        picture: A PNG file for a sheet of training samples. Default: none.

    Raises:
        PluginError: The dataset raises an exception, or returns what its spec does not describe.
        UsageError: The picture exists already, can't be written, or can't show such data.
    """
    target = None if picture is None else _free_file(picture)
    splits, spec = Splits(recipe), recipe.dataset.spec()
    shown = None if target is None else _Shown(spec)
    found, hashes = {}, {}
    for name in ("train", "held_out"):
        dataset = splits[name]
        with blame(recipe, STAGE, recipe.dataset):
            found[name], hashes[name] = _read(dataset, spec, samples, shown if name == "train" else None)
    with blame(recipe, STAGE, recipe.dataset):
        size, seconds = _time(splits["train"], recipe)
    if target is not None and shown is not None:
        _draw(shown, spec, target)
    shared = int(np.isin(hashes["held_out"], hashes["train"]).sum())
    return DataSummary(entry_of(recipe.dataset).name, spec, found, shared, size, seconds and 1000 * seconds)


def _read(
    dataset: Dataset, spec: DataSpec, most: int, shown: _Shown | None
) -> tuple[SplitSummary, np.ndarray[Any, np.dtype[np.uint64]]]:
    """Return what a split gives, and a hash of each sample read."""
    rows = np.linspace(0, len(dataset) - 1, min(len(dataset), most)).round().astype(np.int64)
    summary, hashes = SplitSummary(len(dataset), len(rows)), np.empty(len(rows), dtype=np.uint64)
    labels = spec.condition.num_classes if isinstance(spec.condition, Labels) else 0
    counts, done = torch.zeros(labels, dtype=torch.int64), 0
    for batch in _batches(dataset, spec, rows):
        for name, part in _tensors(batch).items():
            if not (labels and name == "condition"):
                summary.values.setdefault(name, Values()).add(part)
        if labels and batch.condition is not None:
            counts += batch.condition.bincount(minlength=labels)
        if shown is not None:
            shown.add(batch)
        hashes[done : done + len(batch)] = _hashes(batch)
        done += len(batch)
    summary.classes = {str(label): count for label, count in enumerate(counts.tolist())}
    summary.repeated = len(hashes) - len(np.unique(hashes))
    return summary, hashes


def _batches(dataset: Dataset, spec: DataSpec, rows: np.ndarray) -> Iterator[Batch]:
    size = min(CHUNK, max(1, ELEMENTS // math.prod(spec.shape)))
    for start in range(0, len(rows), size):
        batch = dataset.batch(rows[start : start + size])
        check_batch(batch, spec, len(rows[start : start + size]))
        yield batch


def _tensors(batch: Batch) -> dict[str, Tensor]:
    named = {"x1": batch.x1, "condition": batch.condition, "x0": batch.x0}
    return {name: part for name, part in named.items() if part is not None}


def _hashes(batch: Batch) -> list[int]:
    """Return 64 bits for each sample, which depend on x1 and x0."""
    arrays = [part.contiguous().numpy() for name, part in _tensors(batch).items() if name != "condition"]
    rows = (b"".join(array[i].tobytes() for array in arrays) for i in range(len(batch)))
    return [int.from_bytes(hashlib.blake2b(row, digest_size=8).digest(), "little") for row in rows]


def _time(train: Dataset, recipe: Recipe) -> tuple[int, float | None]:
    """Return the size of a training batch, and the median time to read one, in seconds, in random order."""
    size = min(recipe.train.batch_size, len(train))
    if not size:
        return 0, None
    order, times = Permutation(len(train), recipe.seed, "inspection"), []
    for k in range(TIMED):
        rows = order(np.arange(k * size, (k + 1) * size) % len(train))
        start = time.perf_counter()
        train.batch(rows)
        times.append(time.perf_counter() - start)
    return size, median(times)


class _Shown:
    """Samples for the picture: the first ones read, of each of the classes that it shows."""

    def __init__(self, spec: DataSpec) -> None:
        self.labels = spec.condition if isinstance(spec.condition, Labels) else None
        self.most = DRAWN if len(spec.shape) == 1 else 32
        self.samples: dict[int, Tensor] = {}

    def add(self, batch: Batch) -> None:
        """Keep samples of a batch, up to `most` of each class."""
        label = batch.condition if self.labels and batch.condition is not None else torch.zeros(len(batch))
        for k in map(int, label.unique()):
            before = self.samples.get(k, batch.x1[:0])
            self.samples[k] = torch.cat([before, batch.x1[label == k][: self.most - len(before)]])
        for k in sorted(self.samples)[MAX_CLASSES:]:
            del self.samples[k]

    def named(self) -> dict[str, Tensor]:
        """Return the samples by the name of their class."""
        return {self.labels.name(k) if self.labels else ALL: self.samples[k] for k in sorted(self.samples)}


def _free_file(picture: Path) -> SafePath:
    """Return the file for the picture. Raise UsageError if it exists already or is no PNG file."""
    if picture.suffix != ".png":
        raise UsageError(f"--picture must end in .png; got {str(picture)!r}")
    file = SafePath(picture.parent) / picture.name
    if not picture.parent.is_dir():
        raise UsageError(f"there is no folder {str(picture.parent)!r}; choose another --picture")
    if file.exists():
        raise UsageError(f"{str(picture)!r} exists and is not overwritten; choose another --picture")
    return file


def _draw(shown: _Shown, spec: DataSpec, file: SafePath) -> None:
    """Draw the sheet."""
    content = BytesIO()
    samples, look = shown.named(), Look(spec.colormap, spec.value_range)
    if not samples or not sample_sheet(samples, content, look):
        reason = f"samples of shape {spec.shape} can't be drawn" if samples else "there are no training samples"
        raise UsageError(f"{reason}; leave out --picture")
    try:
        file.create(content.getvalue())
    except OSError as error:
        raise writing_failed(error, f"cannot write {str(file)!r}", "choose another --picture") from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return finite(value)
