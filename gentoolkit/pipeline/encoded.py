"""Encoding of the data and decoding of samples by the recipe's codec."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from gentoolkit.api import DataSpec
from gentoolkit.errors import PluginError
from gentoolkit.protocols import Batch, Codec, Dataset, FittedCodec
from gentoolkit.sampling import Samples
from gentoolkit.training import check_batch, expect

#: Number of elements, and of samples, that are read at once at most to fit a codec.
ELEMENTS, CHUNK = 2**22, 1024


@dataclass(frozen=True)
class Encoder:
    """Encodes and decodes with checks of shapes and dtypes."""

    codec: Codec
    data: DataSpec  # of the data
    encoded: DataSpec  # of the encoded data
    device: torch.device  # of the codec

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Return data (B, *D) encoded, (B, *S), on the codec's device.

        Raises:
            PluginError: The codec returns a wrong type, shape or dtype.
        """
        z = self.codec.encode(x.to(self.device))
        expect("codec", "encode(...)", z, ((len(x), *self.encoded.shape), torch.float32))
        return z

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Return encoded samples (B, *S) as data, (B, *D), on the codec's device; see `encode`."""
        x = self.codec.decode(z.to(self.device))
        expect("codec", "decode(...)", x, ((len(z), *self.data.shape), torch.float32))
        return x

    def decoded(self, samples: Samples, batch_size: int) -> Samples:
        """Return samples and their trajectories as data, on the CPU."""

        def decode(z: Tensor) -> Tensor:
            return torch.cat([self.decode(part).cpu() for part in z.split(batch_size)])

        frames = samples.trajectory
        if samples.times:
            frames = decode(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return replace(samples, x1=decode(samples.x1), trajectory=frames)

    def fit(self, train: Dataset) -> None:
        """Fit the codec to the training split, if it has buffers to estimate.

        Raises:
            PluginError: A codec with `fit` is not a module, so checkpoints can't store what it estimates; or an
                estimate is not finite.
        """
        if not isinstance(self.codec, FittedCodec):
            return
        if not isinstance(self.codec, nn.Module):
            raise PluginError("it has a method `fit`, but is no torch.nn.Module with buffers to store", kind="codec")
        self.codec.fit(Chunks(train, min(CHUNK, max(1, ELEMENTS // math.prod(self.data.shape)))))
        for name, value in self.codec.state_dict().items():
            if value.is_floating_point() and not value.isfinite().all():
                raise PluginError(f"{name} is not finite after fit(...)", kind="codec")


@dataclass(frozen=True)
class Chunks:
    """The samples of a split, in chunks; can be iterated several times."""

    dataset: Dataset
    size: int

    def __iter__(self) -> Iterator[Tensor]:
        for start in range(0, len(self.dataset), self.size):
            yield self.dataset.batch(np.arange(start, min(start + self.size, len(self.dataset)))).x1


@dataclass(frozen=True)
class Encoded:
    """A dataset whose samples are encoded: x1, and x0 if the data comes in pairs. They are on the codec's device."""

    dataset: Dataset
    encoder: Encoder

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, indices: np.ndarray) -> Batch:
        """Return the encoded samples at `indices`."""
        batch, encode = self.dataset.batch(indices), self.encoder.encode
        check_batch(batch, self.encoder.data, len(indices))
        return Batch(encode(batch.x1), batch.condition, None if batch.x0 is None else encode(batch.x0))
