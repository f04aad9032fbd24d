"""Randomness that is keyed, not carried: every draw follows from (seed, purpose, numbers), so nothing is ever saved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def key(seed: int, purpose: str, *numbers: int) -> int:
    """Return 64 bits that depend on all arguments and on nothing else, the same on every machine."""
    text = "/".join([str(seed), purpose, *map(str, numbers)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def torch_generator(seed: int, purpose: str, *numbers: int) -> torch.Generator:
    """Return a CPU generator keyed by the arguments. Draw on the CPU, then move: all devices see equal numbers."""
    return torch.Generator().manual_seed(key(seed, purpose, *numbers))


def numpy_generator(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """Return a numpy generator keyed by the arguments (Philox: cheap to make, one per sample is fine)."""
    return np.random.Generator(np.random.Philox(key=key(seed, purpose, *numbers)))


def normal_rows(seed: int, purpose: str, indices: np.ndarray, shape: tuple[int, ...], *numbers: int) -> Tensor:
    """Return standard normal draws, (len(indices), *shape) float32; a row depends on its index alone."""
    rows = [torch.randn(shape, generator=torch_generator(seed, purpose, int(i), *numbers)) for i in indices]
    return torch.stack(rows) if rows else torch.empty(0, *shape)


@contextmanager
def forked(seed: int, purpose: str, *numbers: int) -> Iterator[None]:
    """Run the block under a keyed global RNG (initialisation, dropout) and leave the caller's as it was."""
    value, cpu = key(seed, purpose, *numbers), torch.default_generator
    before, gpus = cpu.get_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    # Not torch.manual_seed: it formats a stack for each kind of device that is not there, half a millisecond.
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
    """Draws for one step, made for the whole global batch and handed out for some rows of it.

    So the numbers that a sample sees do not depend on how many processes or micro-batches share the batch.

    Args:
        seed: The run's seed.
        purpose: What the draws are for; other purposes give independent numbers.
        step: The optimiser step.
        total: The size of the global batch.
        rows: This part's rows; all by default.
        device: Where the draws are wanted. They are made on the CPU, so every device sees equal numbers.
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
        self.total = total
        self.rows = rows or slice(0, total)
        self.device = device
        self._generator = torch_generator(seed, purpose, step)

    def normal(self, *shape: int) -> Tensor:
        """Return N(0, 1) draws, (rows, *shape) float32."""
        return torch.randn(self.total, *shape, generator=self._generator)[self.rows].to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        """Return U[0, 1) draws, (rows, *shape) float32."""
        return torch.rand(self.total, *shape, generator=self._generator)[self.rows].to(self.device)

    def stratified(self) -> Tensor:
        """Return U[0, 1) draws, (rows,), spread evenly over the batch: mod(u + i / B, 1).

        Kingma et al. 2021, arXiv:2107.00630, App. I.1: the same expectation as `uniform`, less variance.
        """
        u = torch.rand((), generator=self._generator)
        return ((u + torch.arange(self.total) / self.total) % 1)[self.rows].to(self.device)

    def subset(self, size: int, count: int) -> Tensor:
        """Return `count` different numbers of range(size) for each row, all choices alike, (rows, count) int64."""
        order = torch.rand(self.total, size, generator=self._generator).argsort(dim=1)
        return order[self.rows, :count].to(self.device)


Round = Callable[[NDArray[np.uint64]], NDArray[np.uint64]]


class Permutation:
    """A keyed bijection of range(length), computed for any positions without a table of that length.

    A balanced Feistel network on the next even number of bits, with cycle walking back into the range
    (Black and Rogaway 2002, "Ciphers with arbitrary finite domains", Sec. 3 and 4).
    """

    ROUNDS = 4
    #: Round functions of so many bits are looked up: quicker than to compute them, and 32 KiB each at most.
    TABLE_BITS = 12

    def __init__(self, length: int, seed: int, purpose: str, *numbers: int) -> None:
        if not 0 < length < 2**62:
            raise ValueError(f"length is {length}; expected 1 to 2**62 - 1")
        self.length = length
        self._half = max(1, ((length - 1).bit_length() + 1) // 2)
        keys = [np.uint64(key(seed, purpose, *numbers, r)) for r in range(self.ROUNDS)]
        self._rounds: list[Round] = [partial(self._round, round_key) for round_key in keys]
        if self._half <= self.TABLE_BITS:
            halves = np.arange(2**self._half, dtype=np.uint64)
            self._rounds = [round_(halves).__getitem__ for round_ in self._rounds]

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """Return the indices at `positions` (int64 in [0, length)); all positions together give every index once."""
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
    """Return the splitmix64 finaliser of z (Steele et al. 2014, Fig. 17): every input bit reaches every output bit."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
