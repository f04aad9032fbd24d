"""Contracts for datasets: map-style, with samples that depend only on the split, the seed and the index."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from gentoolkit.api import Array, Component, Labels
from gentoolkit.protocols import Batch, Dataset
from gentoolkit.randomness import forked
from gentoolkit.registry import Entry
from gentoolkit.testing.contracts import MOST_SAMPLES, Case, contract, does_not_apply, require
from gentoolkit.testing.measures import in_fresh_interpreter

SPLITS = ("train", "held_out")
_DIGEST = """
import sys
from gentoolkit.testing.dataset import digest_elsewhere
print(digest_elsewhere(sys.argv[1]))
"""


def _parts(batch: Batch) -> dict[str, Tensor]:
    named = {"x1": batch.x1, "condition": batch.condition, "x0": batch.x0}
    return {name: part for name, part in named.items() if part is not None}


def looked_at(dataset: Dataset) -> np.ndarray:
    """Return the indices of the samples to check: all, or MOST_SAMPLES of them spread evenly over the split."""
    return np.linspace(0, len(dataset) - 1, min(len(dataset), MOST_SAMPLES)).round().astype(np.int64)


def _samples(dataset: Dataset, indices: np.ndarray) -> list[str]:
    """Return a digest of each sample at `indices`, reading all of them in one call."""
    arrays = [part.contiguous().numpy() for part in _parts(dataset.batch(indices)).values()]
    return [hashlib.sha256(b"".join(array[i].tobytes() for array in arrays)).hexdigest() for i in range(len(indices))]


def observe(case: Case, dataset: Dataset) -> dict[str, Tensor]:
    """Return what must be equal for two equal datasets."""
    return {"length": torch.tensor(len(dataset)), **_parts(dataset.batch(looked_at(dataset)))}


def digest(case: Case) -> str:
    """Return a digest of all samples of both splits."""
    text = "".join("".join(_samples(data, looked_at(data))) for data in map(case.build, SPLITS))
    return hashlib.sha256(text.encode()).hexdigest()


def digest_elsewhere(description: str) -> str:
    """Return `digest` of a dataset that the contract `processes` describes; called in another process."""
    module, name, factory, tiny, seed = json.loads(description)
    component = Component("dataset", getattr(import_module(module), name), factory, tiny)
    return digest(Case(Entry("dataset", component, "elsewhere", "0"), seed))


@contract("dataset.spec")
def spec(case: Case) -> None:
    """The samples of both splits match `spec()` in shape, range and condition, and are finite CPU tensors.

    x1 and arrays are float32, labels are int64. x0 is float32, and is present exactly if the spec has `paired=True`.

    Power: any fault in 1,024 samples of a split (all, if there are fewer), spread evenly over it.
    """
    expected = case.spec
    for split in SPLITS:
        dataset = case.build(split)
        require(len(dataset) > 0, f"{split} has no samples")
        indices = looked_at(dataset)
        parts = _parts(dataset.batch(indices))
        declared = {"x1": (torch.float32, expected.shape)}
        match expected.condition:
            case Labels():
                declared["condition"] = (torch.int64, ())
            case Array(shape):
                declared["condition"] = (torch.float32, shape)
        if expected.paired:
            declared["x0"] = (torch.float32, expected.shape)
        got = {name: (part.dtype, tuple(part.shape[1:])) for name, part in parts.items()}
        require(got == declared, f"{split}: a batch has {got}; the spec declares {declared}")
        lengths = {len(part) for part in parts.values()}
        require(lengths == {len(indices)}, f"{split}: {len(indices)} indices return {sorted(lengths)} samples")
        require(all(p.device.type == "cpu" for p in parts.values()), f"{split}: not all tensors are on the CPU")
        _check_values(case, split, parts)


def _check_values(case: Case, split: str, parts: dict[str, Tensor]) -> None:
    for name, part in parts.items():
        require(part.isfinite().all(), f"{split}: {name} is not finite")
    low, high = (f(parts["x1"]).item() for f in (torch.min, torch.max))
    smallest, largest = case.spec.value_range or (low, high)
    require(
        smallest <= low and high <= largest,
        f"{split}: values range from {low:.4f} to {high:.4f}; the spec declares {smallest} to {largest}",
    )
    if isinstance(labels := case.spec.condition, Labels):
        first, last = (f(parts["condition"]).item() for f in (torch.min, torch.max))
        right = first >= 0 and last < labels.num_classes
        allowed = f"0 to {labels.num_classes - 1}"
        require(right, f"{split}: labels range from {first} to {last}; the spec declares {allowed}")


@contract("dataset.access_order")
def access_order(case: Case) -> None:
    """A sample is the same in any batch: reversed, shuffled, twice, alone, and for any state of the global generators.

    Power: any bit of 1,024 samples of a split. Only the first, the middle and the last sample are read alone.
    """
    for split in SPLITS:
        dataset = case.build(split)
        indices = looked_at(dataset)
        whole = _samples(dataset, indices)
        known, twice = dict(zip(indices, whole, strict=True)), indices[: MOST_SAMPLES // 2].repeat(2)
        shuffled = np.random.default_rng(case.seed).permutation(indices)
        for name, order in (("backwards", indices[::-1].copy()), ("shuffled", shuffled), ("twice", twice)):
            with forked(case.seed, name):
                same = _samples(dataset, order) == [known[i] for i in order]
            require(same, f"{split}: samples read {name} differ from those read in order")
        for i in indices[[0, len(indices) // 2, -1]]:
            alone = _samples(dataset, np.array([i])) == [known[i]]
            require(alone, f"{split}: sample {i} differs when it is read alone")


@contract("dataset.processes")
def processes(case: Case) -> None:
    """In a fresh interpreter, the same config and seed produce the same samples, byte for byte.

    Power: any bit of 1,024 samples of a split.
    """
    component = case.entry.component
    module, name = component.config.__module__, component.config.__qualname__
    description = json.dumps([module, name, component.factory, dict(component.tiny), case.seed])
    there = in_fresh_interpreter(_DIGEST, description)
    require(there == digest(case), "the samples differ in a fresh interpreter with the same config and seed")


class _Chunks(TorchDataset[list[str]]):
    """The samples of a dataset in chunks, for the workers of a DataLoader."""

    def __init__(self, dataset: Dataset, chunks: list[np.ndarray]) -> None:
        self.dataset, self.chunks = dataset, chunks

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, index: int) -> list[str]:
        return _samples(self.dataset, self.chunks[index])


@contract("dataset.workers")
def workers(case: Case) -> None:
    """With one or two worker processes, a torch DataLoader returns the same samples as with none.

    Power: any bit of 1,024 samples of a split.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        does_not_apply("this system can't fork")
    for split in SPLITS:
        dataset = case.build(split)
        chunks = np.array_split(looked_at(dataset), min(len(dataset), 5))
        whole = [sample for chunk in chunks for sample in _samples(dataset, chunk)]
        for count in (1, 2):
            with warnings.catch_warnings():  # about forking a process with threads, and more workers than processors
                warnings.simplefilter("ignore")
                loader = DataLoader(
                    _Chunks(dataset, chunks),
                    batch_size=None,
                    num_workers=count,
                    multiprocessing_context="fork",
                    generator=torch.Generator().manual_seed(case.seed + count),
                    timeout=60,
                )
                same = [sample for chunk in loader for sample in chunk] == whole
            require(same, f"{split}: samples differ with {count} worker processes")


@contract("dataset.shards")
def shards(case: Case) -> None:
    """The shards r, r + k, r + 2k, ... of k = 2 and 3 processes together contain exactly the samples of the split.

    Samples may be repeated within a split, and the shards must then contain them equally often.

    Power: a single sample of 1,024 that is missing, added or changed.
    """
    for split in SPLITS:
        dataset = case.build(split)
        indices = looked_at(dataset)
        whole = sorted(_samples(dataset, indices))
        for k in (2, 3):
            parts = [indices[r::k] for r in range(k) if len(indices) > r]
            together = sorted(sample for part in parts for sample in _samples(case.build(split), part))
            require(together == whole, f"{split}: {k} shards together do not contain exactly the samples of the split")


@contract("dataset.no_network")
def no_network(case: Case) -> None:
    """Building and reading the tiny dataset does not access the network; even failed attempts count.

    Power: any connection or name lookup through Python's `socket`. Libraries that call the system directly are not
    detected.
    """
    with _no_sockets() as attempts:
        try:
            for split in SPLITS:
                dataset = case.build(split)
                dataset.batch(looked_at(dataset))
        finally:
            require(not attempts, f"the network is used: {', '.join(attempts)}")


@contextmanager
def _no_sockets() -> Iterator[list[str]]:
    """Make every connection and name lookup raise, and yield the list of attempts."""
    attempts: list[str] = []

    def refuse(name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> None:
            attempts.append(f"{name}({', '.join(map(repr, args))})")
            raise OSError(f"the contract does not allow network access: {name}")

        return call

    with (
        mock.patch.object(socket.socket, "connect", refuse("connect")),
        mock.patch.object(socket.socket, "connect_ex", refuse("connect_ex")),
        mock.patch.object(socket.socket, "sendto", refuse("sendto")),
        mock.patch.object(socket, "getaddrinfo", refuse("getaddrinfo")),
    ):
        yield attempts
