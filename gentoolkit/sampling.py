"""Sampling in batches, with trajectories."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from dataclasses import field as default

import numpy as np
import torch
from torch import Tensor

from gentoolkit.errors import NonFiniteError, PluginError
from gentoolkit.fields import Field
from gentoolkit.protocols import Sampler
from gentoolkit.randomness import normal_rows

#: Maximum number of states that a trajectory keeps, not counting the last one.
MAX_FRAMES = 1024


@dataclass(frozen=True)
class Samples:
    """Generated samples.

    Attributes:
        x1: The samples, (N, *S) float32 on the CPU.
        condition: The condition of each sample, (N,) or (N, D), or None.
        times: Times of the trajectory's frames, from 0 to 1; empty without a trajectory.
        trajectory: States at these times, (len(times), N, *S); empty without a trajectory.
        seed: The seed of the noise. Together with `rows` it determines the noise of each sample.
        rows: The number of each sample, (N,) int64; see `sample_rows`.
        network_evaluations: Evaluations of the network per sample, where they were counted. Guidance needs more.
    """

    x1: Tensor
    condition: Tensor | None = None
    times: tuple[float, ...] = ()
    trajectory: Tensor = default(default_factory=lambda: torch.empty(0))
    seed: int = 0
    rows: np.ndarray = default(default_factory=lambda: np.empty(0, dtype=np.int64))
    network_evaluations: float = 0.0

    def __repr__(self) -> str:
        frames = f", {len(self.times)} frames" if self.times else ""
        return f"Samples({len(self.x1)} of shape {tuple(self.x1.shape[1:])}, seed {self.seed}{frames})"


@torch.no_grad()
def generate(
    field: Field,
    sampler: Sampler,
    x0: Tensor,
    condition: Tensor | None = None,
    *,
    seed: int = 0,
    rows: np.ndarray | None = None,
    batch_size: int = 64,
    device: torch.device | None = None,
    trajectory: bool = False,
) -> Samples:
    """Generate samples from x0, `batch_size` at a time.

    Args:
        field: The field, with any guidance.
        sampler: Any sampler.
        x0: Initial states, (N, *S) on the CPU.
        condition: Labels (N,), arrays (N, *D) or None.
        seed: Seed of the noise of stochastic samplers, which depends on this and on the sample's row.
        rows: The number that keys each sample, (N,) int64; see `sample_rows`. 0 to N - 1 by default.
        batch_size: Number of samples computed at once. Limits the memory; affects the samples only by rounding.
        device: Device on which the field is evaluated.
        trajectory: Whether to keep the intermediate states. If there are more than `MAX_FRAMES`, every second, fourth,
            ... and the last one are kept. All samples are then computed in one batch, because an adaptive sampler's
            steps differ from batch to batch.

    Raises:
        NonFiniteError: A sample is infinite or NaN; the message says whether the field or the sampler is the cause.
        PluginError: The sampler does not return a tensor of the shape of x0.
    """
    device = device or torch.device("cpu")
    rows = np.arange(len(x0)) if rows is None else rows
    batch_size = len(x0) if trajectory else batch_size

    chunks: list[Samples] = []
    for start in range(0, len(x0), batch_size):
        part = slice(start, start + batch_size)
        c = None if condition is None else condition[part].to(device)
        chunks.append(_carry(field, sampler, x0[part].to(device), c, rows[part], seed, trajectory))
    if trajectory:
        return chunks[0]
    return Samples(torch.cat([chunk.x1 for chunk in chunks]), condition, seed=seed, rows=rows)


def _carry(
    field: Field,
    sampler: Sampler,
    x0: Tensor,
    condition: Tensor | None,
    rows: np.ndarray,
    seed: int,
    trajectory: bool,
) -> Samples:
    frames = _Frames()

    def noise(t: float, s: float) -> Tensor:
        interval = struct.unpack("<2Q", struct.pack("<2d", t, s))
        return normal_rows(seed, "sampler noise", rows, tuple(x0.shape[1:]), *interval).to(x0)

    x1 = sampler.sample(field, x0, condition, noise, frames.add if trajectory else None)
    if not isinstance(x1, Tensor) or x1.shape != x0.shape:
        got = f"tensor of shape {tuple(x1.shape)}" if isinstance(x1, Tensor) else type(x1).__name__
        raise PluginError(f"sample(...) returned a {got}; expected a tensor of shape {tuple(x0.shape)}", kind="sampler")
    if trajectory and not frames.count:
        raise PluginError("sample(...) never calls on_step", kind="sampler")
    if not x1.isfinite().all():
        raise _not_finite(field, sampler, x0, condition, noise)
    condition = None if condition is None else condition.cpu()
    return Samples(x1.cpu(), condition, *(frames.stacked() if trajectory else ((), torch.empty(0))), seed, rows)


class _Frames:
    """Intermediate states of a sampler. Every second one is dropped whenever there are more than `MAX_FRAMES`."""

    def __init__(self) -> None:
        self.kept: list[tuple[float, Tensor]] = []
        self.count, self.stride = 0, 1
        self.last: tuple[float, Tensor]

    def add(self, t: float, x: Tensor) -> None:
        self.last = t, x.to("cpu", copy=True)
        if self.count % self.stride == 0:
            self.kept.append(self.last)
        self.count += 1
        if len(self.kept) > MAX_FRAMES:
            self.kept, self.stride = self.kept[::2], 2 * self.stride

    def stacked(self) -> tuple[tuple[float, ...], Tensor]:
        """Return the times and the states, with the last one."""
        kept = self.kept if self.kept[-1] is self.last else [*self.kept, self.last]
        return tuple(t for t, _ in kept), torch.stack([x for _, x in kept])


def _not_finite(
    field: Field, sampler: Sampler, x0: Tensor, condition: Tensor | None, noise: Callable[[float, float], Tensor]
) -> NonFiniteError:
    """Return the error for samples that are not finite: sample again and find the first value that is not."""
    count = 0

    def watched(x: Tensor, t: Tensor, c: Tensor | None) -> Tensor:
        nonlocal count
        count += 1
        where = f"evaluation {count} of the field, at t = {t.flatten()[0].item():.4g}"
        if not x.isfinite().all():
            raise NonFiniteError(f"the state is not finite before {where}", kind="sampler")
        if not (value := field.predict(x, t, c)).isfinite().all():
            raise NonFiniteError(f"the {field.quantity} is not finite in {where}", kind="backbone")
        return value

    try:
        sampler.sample(replace(field, predict=watched), x0, condition, noise)
    except NonFiniteError as error:
        return error
    return NonFiniteError(f"the samples are not finite, although all {count} evaluations are", kind="sampler")


#: Number of rows reserved for each class, so that no two classes share a row number.
ROWS_PER_CLASS = 2**40


def sample_rows(labels: np.ndarray) -> np.ndarray:
    """Return the number that keys each sample, class · 2^40 + index within the class: (N,) for labels (N,).

    A sample is therefore the same whichever other classes are sampled. Data without classes has one class, 0.
    """
    rows = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        (places,) = np.nonzero(labels == label)
        rows[places] = label * ROWS_PER_CLASS + np.arange(len(places))
    return rows
