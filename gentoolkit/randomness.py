"""Keyed random numbers: every draw is a function of (seed, purpose, numbers), so no generator state has to be saved."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: Numbers drawn in one call. If a step needs at most half of them, one call covers several steps, because for small
#: draws numpy's call overhead dominates.
AHEAD = 2**14


def key(seed: int, purpose: str, *numbers: int) -> int:
    """Return 64 bits that depend only on the arguments, and are the same on every machine."""
    text = "/".join([str(seed), purpose, *map(str, numbers)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def numpy_generator(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """Return a numpy generator keyed by the arguments (Philox, cheap enough to create one per sample)."""
    return np.random.Generator(np.random.Philox(key=key(seed, purpose, *numbers)))


def normal_rows(seed: int, purpose: str, rows: np.ndarray, shape: tuple[int, ...], *numbers: int) -> Tensor:
    """Return standard normal draws, (len(rows), *shape) float32. A row depends only on its number and the other keys.

    Args:
        seed: The run's seed.
        purpose: What the draws are for.
        rows: Number of each row, (N,) int64, >= 0, in any order.
        shape: Shape of a row.
        *numbers: Further keys.
    """
    return _keyed(_normal, key(seed, purpose, *numbers), rows, shape)


def uniform_rows(seed: int, purpose: str, rows: np.ndarray, shape: tuple[int, ...], *numbers: int) -> Tensor:
    """Return U[0, 1) draws, (len(rows), *shape) float32; see `normal_rows`."""
    return _keyed(_uniform, key(seed, purpose, *numbers), rows, shape)


def integer_rows(seed: int, purpose: str, rows: np.ndarray, high: int, *numbers: int) -> NDArray[np.int64]:
    """Return uniform draws from range(high), (len(rows),) int64; see `normal_rows`.

    64 random bits are reduced modulo `high`, so no probability is off by more than high · 2^-64 of itself.
    """
    return _keyed(partial(_integers, high), key(seed, purpose, *numbers), rows, ()).numpy()


def _keyed(draw: Draw, row_key: int, rows: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    """Return the draws of some rows. Runs of consecutive numbers are drawn in one call each."""
    rows = np.asarray(rows, dtype=np.int64)
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-2) != 1)
    runs = zip(ordered[starts].tolist(), np.diff(starts, append=len(rows)).tolist(), strict=True)
    drawn = [draw(_Rows(row_key, 0, first, count), shape) for first, count in runs]
    return torch.cat(drawn)[torch.from_numpy(np.argsort(order))] if drawn else draw(_Rows(row_key, 0, 0, 0), shape)


class _Rows(NamedTuple):
    """Rows `first` to `first + number - 1` of one draw. Each draw, width and row has its own counter values."""

    key: int
    draw: int
    first: int
    number: int

    def philox(self, width: int) -> tuple[np.random.Philox, int]:
        """Return a generator of the rows' 32-bit words, `width` per row, and the number of words before the first row.

        Philox 4x64 (Salmon et al. 2011, doi:10.1145/2063384.2063405) maps (key, counter) to 256 bits, i.e. eight words.
        Row i starts at word i · width, so rows can be drawn without those before them.
        """
        block, before = divmod(self.first * width, 8)
        return np.random.Philox(key=self.key, counter=(width << 192) + (self.draw << 128) + block), before


def _uniform(rows: _Rows, shape: tuple[int, ...]) -> Tensor:
    """Return U[0, 1) draws, (number of rows, *shape) float32."""
    size = math.prod(shape)
    philox, before = rows.philox(size)
    draws = np.random.Generator(philox).random(before + rows.number * size, dtype=np.float32)
    return torch.from_numpy(draws[before:]).reshape(rows.number, *shape)


def _integers(high: int, rows: _Rows, shape: tuple[int, ...]) -> Tensor:
    """Return uniform draws from range(high), (number of rows,) int64."""
    philox, before = rows.philox(2)  # two words of 32 bits are one of 64
    words = philox.random_raw(before // 2 + rows.number)[before // 2 :]
    return torch.from_numpy((words % np.uint64(high)).astype(np.int64))


def _normal(rows: _Rows, shape: tuple[int, ...]) -> Tensor:
    """Return N(0, 1) draws, (number of rows, *shape) float32.

    Box and Muller 1958, doi:10.1214/aoms/1177706645: sqrt(-2 ln u) · (cos a, sin a) with u in (0, 1], a in [-pi, pi].
    Unlike a rejection method, it uses the same number of words for every row. Functions are applied to contiguous
    arrays because their vectorized versions may round strided elements differently.
    """
    size = math.prod(shape)
    half = -(-size // 2)
    philox, before = rows.philox(2 * half)
    words = philox.random_raw(before // 2 + rows.number * half).view(np.int32)
    integers = words[before:].reshape(rows.number, 2, half)
    radius, angle = integers[:, 0].astype(np.float32), integers[:, 1].astype(np.float32)
    np.abs(radius, out=radius)
    radius += np.float32(0.5)  # never 0
    radius *= np.float32(2**-31)
    np.log(radius, out=radius)
    radius *= np.float32(-2)
    np.sqrt(radius, out=radius)
    angle *= np.float32(math.pi * 2**-31)
    normal = np.concatenate([np.cos(angle) * radius, np.sin(angle) * radius], axis=1)
    return torch.from_numpy(normal[:, :size]).reshape(rows.number, *shape)


Draw = Callable[[_Rows, tuple[int, ...]], Tensor]


@lru_cache(maxsize=8)
def _ahead(draw: Draw, rows: _Rows, shape: tuple[int, ...]) -> Tensor:
    """Return the draws of several steps, cached."""
    return draw(rows, shape)


@contextmanager
def forked(seed: int, purpose: str, *numbers: int) -> Iterator[None]:
    """Run the block with keyed global generators (initialization, dropout) and restore their states afterwards."""
    value, cpu = key(seed, purpose, *numbers), torch.default_generator
    before, gpus = cpu.get_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    # Not torch.manual_seed: it formats a stack trace for each missing kind of device, which takes half a millisecond.
    cpu.manual_seed(value)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(value)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(value)
    try:
        yield
    finally:
        cpu.set_state(before)
        if gpus:
            torch.cuda.set_rng_state_all(gpus)


class BatchGenerator:
    """Random draws for one step, for some rows of its global batch.

    The draws of row i depend only on the key and i. They are therefore the same for any number of processes or
    micro-batches, and each process draws only its own rows.

    Args:
        seed: The run's seed.
        purpose: What the draws are for; different purposes have independent draws.
        step: The optimizer step.
        total: Size of the global batch.
        rows: The rows to draw; all by default.
        device: Device of the result. Draws are made on the CPU, so they are the same on every device.
    """

    def __init__(
        self,
        seed: int,
        purpose: str,
        step: int,
        total: int,
        rows: slice | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.step, self.total = step, total
        self.rows = rows or slice(0, total)
        self.device = device
        self._key = key(seed, purpose)
        self._draws = 0

    def _draw(self, draw: Draw, shape: tuple[int, ...], total: int, rows: slice) -> Tensor:
        """Return this step's `rows`, where each step has `total` rows."""
        self._draws += 1
        first, number = self.step * total + rows.start, rows.stop - rows.start
        steps = AHEAD // max(1, total * math.prod(shape))
        if steps < 2:
            return draw(_Rows(self._key, self._draws, first, number), shape).to(self.device)
        start = self.step // steps * steps * total
        drawn = _ahead(draw, _Rows(self._key, self._draws, start, steps * total), shape)
        return drawn[first - start : first - start + number].to(self.device, copy=True)

    def normal(self, *shape: int) -> Tensor:
        """Return N(0, 1) draws, (rows, *shape) float32."""
        return self._draw(_normal, shape, self.total, self.rows)

    def uniform(self, *shape: int) -> Tensor:
        """Return U[0, 1) draws, (rows, *shape) float32."""
        return self._draw(_uniform, shape, self.total, self.rows)

    def stratified(self) -> Tensor:
        """Return U[0, 1) draws, (rows,), spread evenly over the batch: mod(u + i / B, 1).

        Kingma et al. 2021, arXiv:2107.00630, App. I.1: same expectation as `uniform`, lower variance.
        """
        u = self._draw(_uniform, (), 1, slice(0, 1))
        shares = torch.arange(self.rows.start, self.rows.stop, device=self.device) / self.total
        return (u + shares) % 1

    def subset(self, size: int, count: int) -> Tensor:
        """Return `count` distinct numbers from range(size) for each row, uniformly chosen, (rows, count) int64."""
        return self.uniform(size).argsort(dim=1)[:, :count]


Round = Callable[[NDArray[np.uint64]], NDArray[np.uint64]]


class Permutation:
    """A keyed random permutation of range(length): uniform for short ranges, approximately uniform for long ones.

    Up to the length `SHUFFLED` it is a shuffled table. Longer permutations are computed at the requested positions
    only, by a balanced Feistel network on the next even number of bits, with cycle walking back into the range (Black
    and Rogaway 2002, "Ciphers with arbitrary finite domains", Sec. 3 and 4).
    """

    #: Ranges up to this length are shuffled, which takes half a MiB and a few milliseconds.
    SHUFFLED = 2**16
    ROUNDS = 4
    #: Round functions of up to this many bits use a lookup table, which is faster and takes at most 32 KiB each.
    TABLE_BITS = 12

    def __init__(self, length: int, seed: int, purpose: str, *numbers: int) -> None:
        if not 0 < length < 2**62:
            raise ValueError(f"length is {length}; expected 1 to 2**62 - 1")
        self.length = length
        self._table: NDArray[np.int64] | None = None
        if length <= self.SHUFFLED:
            words = np.random.Philox(key=key(seed, purpose, *numbers)).random_raw(length)
            self._table = np.argsort(words, kind="stable")
            return
        self._half = max(1, ((length - 1).bit_length() + 1) // 2)
        keys = [np.uint64(key(seed, purpose, *numbers, r)) for r in range(self.ROUNDS)]
        self._rounds: list[Round] = [partial(self._round, round_key) for round_key in keys]
        if self._half <= self.TABLE_BITS:
            halves = np.arange(2**self._half, dtype=np.uint64)
            self._rounds = [round_(halves).__getitem__ for round_ in self._rounds]

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """Return the indices at `positions` (int64 in [0, length)); distinct positions have distinct indices."""
        if self._table is not None:
            return self._table[positions]
        values = self._encrypt(np.asarray(positions, dtype=np.uint64))
        outside = np.flatnonzero(values >= self.length)
        while outside.size:
            values[outside] = walked = self._encrypt(values[outside])
            outside = outside[walked >= self.length]
        return values.astype(np.int64)

    def _encrypt(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        half, mask = np.uint64(self._half), np.uint64(2**self._half - 1)
        left, right = values >> half, values & mask
        for round_ in self._rounds:
            left, right = right, left ^ round_(right)
        return (left << half) | right

    def _round(self, round_key: np.uint64, right: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return _mix(right ^ round_key) & np.uint64(2**self._half - 1)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the splitmix64 finalizer of z (Steele et al. 2014, Fig. 17): each input bit affects every output bit."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
