"""Open and check arrays, without torch, so that `gentool validate` finds what is wrong in them."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from gentoolkit.api import UsageError

from . import ArraysConfig

#: Types of numbers in safetensors files.
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}

Numbers = np.ndarray[Any, np.dtype[Any]]


def samples_of(config: ArraysConfig) -> Numbers:
    """Return the samples as they are in the file, (N, ...). Raise UsageError if they can't be used."""
    samples = opened(config.samples.path, config.samples_key, "samples_key")
    if samples.ndim < 2 or 0 in samples.shape:
        raise _error(config.samples.path, f"has an array of shape {samples.shape}; expected (N, ...), without zeros")
    if samples.dtype.kind in "iu" and config.value_range is None:
        wrong = f"has numbers of type {samples.dtype}; set value_range, the values that become -1 and 1, e.g. [0, 255]"
        raise _error(config.samples.path, wrong)
    if config.channels_last and samples.ndim != 4:
        wrong = f"has samples of shape {samples.shape[1:]}, but channels_last needs (height, width, channels)"
        raise _error(config.samples.path, wrong)
    return samples


def condition_of(config: ArraysConfig) -> Numbers | None:
    """Return the labels (N,) or the conditions (N, ...), as they are in the file, or None if there are neither.

    Raises:
        UsageError: They can't be used, or there is not one for each sample.
    """
    if config.labels is not None:
        path, array = config.labels.path, opened(config.labels.path, config.labels_key, "labels_key")
        if array.ndim != 1 or array.dtype.kind not in "iu":
            wrong = f"has labels of type {array.dtype} and shape {array.shape}; expected integers of shape (N,)"
            raise _error(path, wrong)
        if len(array) and array.min() < 0:
            raise _error(path, f"has the label {array.min()}; expected integers from 0")
        if len(array) and array.max() >= len(array):
            raise _error(path, f"has the label {array.max()}, but only {len(array)} rows; number the classes from 0")
    elif config.conditions is not None:
        path, array = config.conditions.path, opened(config.conditions.path, config.conditions_key, "conditions_key")
        if array.ndim < 2 or 0 in array.shape[1:]:
            raise _error(path, f"has conditions of shape {array.shape}; expected (N, ...), without zeros")
    else:
        return None
    if len(array) != (count := len(samples_of(config))):
        raise _error(path, f"has {len(array)} rows, but there are {count} samples")
    return array


def opened(path: Path, key: str | None, setting: str) -> Numbers:
    """Return an array of numbers in a file, memory-mapped unless the file is .npz.

    Args:
        path: The file.
        key: The name of the array, or None for the only one.
        setting: The setting that the name comes from.

    Raises:
        UsageError: The file is damaged or of another kind, has no such array, or the array has no real numbers.
    """
    try:
        match path.suffix.lower():
            case ".npy":
                array = np.load(path, mmap_mode="r", allow_pickle=False)
            case ".npz":
                if not zipfile.is_zipfile(path):
                    raise ValueError("it is not an archive")
                with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                    array = archive[_chosen(path, archive.files, key, setting)]
            case ".safetensors":
                array = _safetensors(path, key, setting)
            case suffix:
                raise _error(path, f"ends in {suffix or 'no suffix'!r}; expected .npy, .npz or .safetensors")
    except UsageError:
        raise
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, struct.error) as error:
        if "allow_pickle" in str(error):
            raise _error(path, "has Python objects; save an array of numbers instead") from None
        raise _error(path, f"is damaged or not of the type that its suffix says: {error}") from None
    if array.dtype.kind not in "iuf":
        raise _error(path, f"has values of type {array.dtype}; expected real numbers")
    return array


def _chosen(path: Path, names: list[str], key: str | None, setting: str) -> str:
    if key is None and len(names) == 1:
        return names[0]
    if key in names and key is not None:
        return key
    if not names:
        raise _error(path, "has no arrays")
    wanted = f"set {setting}" if key is None else f"there is no {key!r}"
    raise _error(path, f"has the arrays {', '.join(sorted(names))}; {wanted}")


def _safetensors(path: Path, key: str | None, setting: str) -> Numbers:
    """Return an array of a file of https://github.com/huggingface/safetensors, whose format is documented there."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > 100_000_000:
            raise ValueError("its header is too long")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    entry = header[_chosen(path, list(header), key, setting)]
    if entry["dtype"] not in TYPES:
        raise _error(path, f"has numbers of type {entry['dtype']}; expected one of {', '.join(TYPES)}")
    kind, shape, (start, end) = np.dtype(TYPES[entry["dtype"]]), tuple(entry["shape"]), entry["data_offsets"]
    if kind.itemsize * int(np.prod(shape, dtype=object)) != end - start:
        raise ValueError("the sizes in its header contradict each other")
    return np.memmap(path, kind, "r", 8 + length + start, shape)


def _error(path: Path, wrong: str) -> UsageError:
    return UsageError(f"{path}: {wrong}", kind="dataset")
