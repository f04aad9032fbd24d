"""Samples from arrays in files, read when a batch needs them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from gentoolkit.api import UsageError
from gentoolkit.datafiles import position, split_rows
from gentoolkit.protocols import Batch

from . import ArraysConfig
from .files import Numbers, condition_of, samples_of

#: About the number of values that are checked at once.
CHUNK = 2**22


class Arrays:
    """Samples of one split, in a random order that is always the same.

    Args:
        config: The dataset's config.
        split: "train" or "held_out".
        seed: Not used: the split depends on the samples alone.

    Raises:
        UsageError: A file can't be used, a value is infinite or NaN, or a split is empty.
    """

    def __init__(self, config: ArraysConfig, split: str, seed: int) -> None:
        self.config, self.samples, self.condition = config, samples_of(config), condition_of(config)
        self.rows = np.array(split_rows(_positions(config, *_version(config)), config.held_out, split, "samples"))

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: np.ndarray) -> Batch:
        """Return samples (B, *S) float32, and labels (B,) int64 or conditions (B, *D) float32 if any."""
        rows = self.rows[np.asarray(indices, dtype=np.int64)]
        x1 = torch.from_numpy(_scaled(self.samples[rows], self.config))
        condition: Tensor | None = None
        if self.condition is not None:
            kind = np.int64 if self.config.labels is not None else np.float32
            condition = torch.from_numpy(self.condition[rows].astype(kind))
        return Batch(x1.movedim(-1, 1).contiguous() if self.config.channels_last else x1, condition)


def _scaled(samples: Numbers, config: ArraysConfig) -> Numbers:
    """Return samples as float32, and if there is a range, its ends as -1 and 1."""
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is reported
        if config.value_range is None:
            return samples.astype(np.float32)
        low, high = config.value_range
        return ((samples.astype(np.float64) - low) * (2 / (high - low)) - 1).astype(np.float32)


def _version(config: ArraysConfig) -> list[int]:
    """Return what changes with the files."""
    files = [file.path.stat() for file in (config.samples, config.labels, config.conditions) if file is not None]
    return [number for stat in files for number in (stat.st_mtime_ns, stat.st_size)]


@lru_cache(maxsize=2)
def _positions(config: ArraysConfig, *version: int) -> list[int]:
    """Return what decides on the split of each sample. Raise UsageError for a value that is infinite or NaN."""
    samples = samples_of(config)
    positions = []
    for first, chunk in _chunks(samples):
        scaled = _scaled(chunk, config)
        _require(np.isfinite(scaled), first, f"{config.samples}: sample", "is infinite or NaN as float32")
        if config.value_range is not None:
            outside = f"is outside value_range {list(config.value_range)}"
            _require(np.abs(scaled) <= 1 + 1e-6, first, f"{config.samples}: sample", outside)
        positions += [position(row.tobytes()) for row in scaled + np.float32(0)]  # -0 + 0 is 0
    if config.conditions is not None and (conditions := condition_of(config)) is not None:
        for first, chunk in _chunks(conditions):
            with np.errstate(over="ignore"):
                finite = np.isfinite(chunk.astype(np.float32))
            _require(finite, first, f"{config.conditions}: condition", "is infinite or NaN as float32")
    return positions


def _chunks(array: Numbers) -> list[tuple[int, Numbers]]:
    size = max(1, CHUNK // max(1, array[0].size))
    return [(first, array[first : first + size]) for first in range(0, len(array), size)]


def _require(right: Numbers, first: int, where: str, wrong: str) -> None:
    """Raise UsageError with the place of the first value that is not right."""
    if not right.all():
        row, *place = (int(index) for index in np.argwhere(~right)[0])
        raise UsageError(f"{where} {first + row} {wrong}, at {tuple(place)}", kind="dataset")
