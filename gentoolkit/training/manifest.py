"""The manifest of a checkpoint: its files with their sizes, checksums and tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from gentoolkit.safefiles import MAX_JSON, SafePath, parse_json

MANIFEST = "manifest.json"
NUMBERS = "state.json"
WEIGHTS = "weights.safetensors"
#: Version of the file format. It changes when older versions of gentoolkit could not read the files correctly.
FORMAT = 2


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _TensorEntry(_Strict):
    dtype: str
    shape: list[int]


class _FileEntry(_Strict):
    size: int = Field(ge=0)
    sha256: str
    tensors: dict[str, _TensorEntry] | None = None  # None for a file without tensors


class Manifest(_Strict):
    """The content of a manifest."""

    format: Literal[2]
    step: int = Field(ge=0)
    files: dict[str, _FileEntry]


class Fault(Exception):  # noqa: N818 - never leaves the two modules
    """Why a checkpoint is not valid."""


def described(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the dtype and shape of each tensor, as listed in a manifest."""
    return {
        name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
        for name, tensor in sorted(tensors.items())
    }


def read_manifest(folder: SafePath, step: int | None) -> tuple[Manifest, str]:
    """Return the manifest and its sha256, which identifies a checkpoint because it covers the hashes of all files.

    Raises:
        Fault: The manifest is invalid, or `step` is given and differs from the manifest's step.
    """
    try:
        value = parse_json(data := (folder / MANIFEST).read(MAX_JSON))
        if isinstance(value, dict) and (found := value.get("format")) != FORMAT:
            raise Fault(f"{MANIFEST} has format {found!r}; this version of gentoolkit reads format {FORMAT}")
        manifest = Manifest.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise Fault(f"{MANIFEST}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except OSError as error:
        raise Fault(f"{MANIFEST}: {error.strerror}") from error
    except ValueError as error:
        raise Fault(f"{MANIFEST}: {error}") from error
    if missing := {NUMBERS, WEIGHTS} - manifest.files.keys():
        raise Fault(f"its manifest does not list {', '.join(sorted(missing))}")
    if wrong := [name for name in manifest.files if name != NUMBERS and not name.endswith(".safetensors")]:
        raise Fault(f"its manifest lists {wrong[0]!r}, which is not a checkpoint file")
    if step is not None and manifest.step != step:
        raise Fault(f"its manifest belongs to step {manifest.step}")
    return manifest, hashlib.sha256(data).hexdigest()


def verified_files(folder: SafePath, manifest: Manifest) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file. Raise Fault if the content does not match the manifest."""
    for name, expected in manifest.files.items():
        try:
            data = (folder / name).read(expected.size)
        except OSError as error:
            raise Fault(f"{name}: {error.strerror}") from error
        if len(data) != expected.size or hashlib.sha256(data).hexdigest() != expected.sha256:
            raise Fault(f"{name} does not match its checksum in the manifest")
        yield name, data
