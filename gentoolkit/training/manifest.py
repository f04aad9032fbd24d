"""The manifest of a checkpoint: which files it has, their sizes, checksums and tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from gentoolkit.safefiles import SafePath

MANIFEST = "manifest.json"
NUMBERS = "state.json"
WEIGHTS = "weights.safetensors"
#: The version of the files' format; it changes when an older toolkit could not read them correctly.
FORMAT = 1


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _TensorEntry(_Strict):
    dtype: str
    shape: list[int]


class _FileEntry(_Strict):
    size: int = Field(ge=0)
    sha256: str
    tensors: dict[str, _TensorEntry] | None = None  # None: it holds none


class Manifest(_Strict):
    """A manifest as it is read."""

    format: Literal[1]
    step: int = Field(ge=0)
    files: dict[str, _FileEntry]


class Fault(Exception):  # noqa: N818 - never leaves the two modules
    """Why a checkpoint can't be trusted."""


def described(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the dtype and shape of each tensor, as a manifest lists them."""
    return {
        name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
        for name, tensor in sorted(tensors.items())
    }


def read_manifest(folder: SafePath, step: int | None) -> Manifest:
    """Return the manifest; raise Fault where it is wrong, or of another step than the folder's name says."""
    try:
        value = (folder / MANIFEST).read_json()
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
        raise Fault(f"its manifest names no {', '.join(sorted(missing))}")
    if wrong := [name for name in manifest.files if name != NUMBERS and not name.endswith(".safetensors")]:
        raise Fault(f"its manifest names {wrong[0]!r}, which is no file of a checkpoint")
    if step is not None and manifest.step != step:
        raise Fault(f"its manifest is of step {manifest.step}")
    return manifest


def verified_files(folder: SafePath, manifest: Manifest) -> Iterator[tuple[str, bytes]]:
    """Yield each file's name and bytes, which were read once and are what the manifest says; else raise Fault."""
    for name, expected in manifest.files.items():
        try:
            data = (folder / name).read(expected.size)
        except OSError as error:
            raise Fault(f"{name}: {error.strerror}") from error
        if len(data) != expected.size or hashlib.sha256(data).hexdigest() != expected.sha256:
            raise Fault(f"{name} does not match its checksum in the manifest")
        yield name, data
