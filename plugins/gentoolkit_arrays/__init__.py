"""Samples from arrays in files of NumPy and safetensors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from gentoolkit.api import Array, Component, DataFile, DatasetConfig, DataSpec, Labels, hookimpl


class ArraysConfig(DatasetConfig):
    """Samples of any shape from an array (N, ...) in a file: .npy, .npz or .safetensors.

    Files are memory-mapped, except for .npz, which is read into memory. Arrays of Python objects are refused. Whether a
    sample is held out depends on its values alone: it stays in its split when others are added, and equal ones are in
    the same split.
    """

    samples: DataFile
    """The file with the samples."""
    samples_key: str | None = None
    """The name of the array in a file with several."""
    labels: DataFile | None = None
    """A file with the class of each sample, an array (N,) of integers from 0. It may be the same file."""
    labels_key: str | None = None
    """The name of the array with the labels."""
    conditions: DataFile | None = None
    """A file with the condition of each sample, an array (N, ...), such as embeddings of texts or images."""
    conditions_key: str | None = None
    """The name of the array with the conditions."""
    value_range: tuple[float, float] | None = None
    """The values that become -1 and 1, e.g. [0, 255]. Without it, values stay what they are. Integers need it."""
    channels_last: bool = False
    """Whether the samples are images (height, width, channels)."""
    held_out: float = Field(default=0.1, gt=0, lt=1)
    """Probability that a sample is in the held-out split."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.labels is not None and self.conditions is not None:
            raise ValueError("set either labels or conditions")
        if self.value_range is not None and self.value_range[0] >= self.value_range[1]:
            raise ValueError("value_range must be two numbers, the smaller first")
        for name in ("labels", "conditions"):
            if getattr(self, f"{name}_key") is not None and getattr(self, name) is None:
                raise ValueError(f"{name}_key needs {name}")
        return self

    def spec(self) -> DataSpec:
        """Return the shape of a sample, with labels or a condition. Raise UsageError if a file can't be used."""
        from .files import condition_of, samples_of

        shape = samples_of(self).shape[1:]
        condition, labels = condition_of(self), None
        if condition is not None:
            labels = Labels(int(condition.max()) + 1) if self.labels is not None else Array(condition.shape[1:])
        if self.channels_last:
            shape = (shape[-1], *shape[:-1])
        return DataSpec(shape, labels, None if self.value_range is None else (-1.0, 1.0))


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the dataset."""
    file = str(Path(__file__).with_name("tiny.npz"))
    fields = {"samples": file, "samples_key": "x", "labels": file, "labels_key": "y"}
    tiny = {**fields, "value_range": [0, 255], "channels_last": True, "held_out": 0.3}
    yield Component("arrays", ArraysConfig, f"{__name__}.dataset:Arrays", tiny=tiny)
