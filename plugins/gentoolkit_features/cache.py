"""A cache of trained weights in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gentoolkit.protocols import Dataset

#: Number of samples that are read at once.
CHUNK = 1024


def folder() -> Path:
    """Return the folder of the cache: below $XDG_CACHE_HOME, by default ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gentoolkit" / "features"


def data_hash(dataset: Dataset) -> str:
    """Return the SHA-256 of all samples of a split and their conditions."""
    digest = hashlib.sha256()
    for start in range(0, len(dataset), CHUNK):
        batch = dataset.batch(np.arange(start, min(start + CHUNK, len(dataset))))
        for part in (batch.x1, batch.condition):
            if part is not None:
                digest.update(f"{part.dtype} {tuple(part.shape)}".encode())
                digest.update(part.contiguous().numpy().tobytes())
    return digest.hexdigest()


def file_hash(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def cached(name: str, key: Mapping[str, object], make: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """Return tensors from the cache, or make and store them.

    A file that is damaged is made again, and a cache that can't be written is not used.

    Args:
        name: First part of the file's name.
        key: What the tensors depend on, as JSON data.
        make: Makes the tensors.
    """
    file = folder() / f"{name}-{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]}"
    with contextlib.suppress(OSError, ValueError, SafetensorError):
        digest, _, content = file.read_bytes().partition(b"\n")
        if digest.decode() == hashlib.sha256(content).hexdigest():
            return load(content)
    tensors = make()
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
        draft.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
    return tensors
