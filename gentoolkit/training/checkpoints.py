"""Crash-safe checkpoints: safetensors files and a manifest with checksums, put in place by an atomic rename.

Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
from pydantic import ValidationError
from torch import Tensor

from gentoolkit.errors import NoCheckpointError, writing_failed
from gentoolkit.safefiles import SafePath, parse_json
from gentoolkit.training.manifest import FORMAT, MANIFEST, NUMBERS, Fault, described, read_manifest, verified_files

_NAME = re.compile(r"step-(0|[1-9][0-9]{0,17})", re.ASCII)
_PARTIAL = ".partial-"

T = TypeVar("T")


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after a step.

    Attributes:
        step: Number of optimizer steps taken.
        tensors: File name without extension -> name -> tensor.
        numbers: Plain JSON data.
        sha256: The hash of its manifest, if it was read from a file.
    """

    step: int
    tensors: dict[str, dict[str, Tensor]]
    numbers: dict[str, Any]
    sha256: str = ""

    def copied(self) -> Checkpoint:
        """Return an independent copy on the CPU, in which tied weights do not share memory."""
        tensors = {
            group: {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in named.items()}
            for group, named in self.tensors.items()
        }
        return Checkpoint(self.step, tensors, self.numbers)

    def number(self, name: str, check: Callable[[Any], T]) -> T:
        """Return a validated value from `numbers`.

        Args:
            name: Name of the value.
            check: Function that returns the value, or raises ValueError or TypeError if it is invalid.

        Raises:
            NoCheckpointError: The value is missing or invalid.
        """
        if name not in self.numbers:
            raise NoCheckpointError(f"the checkpoint at step {self.step} cannot be used: {NUMBERS} has no {name!r}")
        try:
            return check(self.numbers[name])
        except (ValueError, TypeError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise NoCheckpointError(
                f"the checkpoint at step {self.step} cannot be used: {NUMBERS}, {name!r}: {reason}"
            ) from error


def save_checkpoint(root: Path, checkpoint: Checkpoint, keep: int, verified: Collection[int] = ()) -> Path:
    """Write `root/step-N` atomically and verify it, then delete all but the newest `keep` valid checkpoints.

    Args:
        root: The folder of checkpoints. Must not be a link.
        checkpoint: A checkpoint from `copied`, since safetensors rejects tensors that share memory.
        keep: Number of checkpoints to keep.
        verified: Steps whose checkpoints are known to be valid, so that they are not read again.

    Raises:
        OutOfSpaceError: The disk is full. Earlier checkpoints are not affected.
    """
    folder = _inside(root)
    target = folder / f"step-{checkpoint.step}"
    draft = folder / f"{_PARTIAL}step-{checkpoint.step}"
    try:
        for name in folder.names():
            if name.startswith(_PARTIAL):
                (folder / name).remove()
        _write_files(draft, checkpoint)
        if target.exists():
            target.remove()
        draft.rename(target)
        folder.sync_folder()
    except OSError as error:
        if draft.exists():
            draft.remove()
        message = f"cannot write the checkpoint of step {checkpoint.step}"
        raise writing_failed(error, message, "earlier checkpoints are kept") from error
    if (fault := _fault(target, checkpoint.step)) is not None:
        raise NoCheckpointError(f"the checkpoint just written to {target} is damaged: {fault}")
    _prune(folder, keep, {checkpoint.step, *verified})
    return target.path


def _inside(root: Path) -> SafePath:
    """Return the folder of checkpoints, which must not be a link. Its parent may be one."""
    return SafePath(root.parent, (root.name,))


def _write_files(folder: SafePath, checkpoint: Checkpoint) -> None:
    folder.make_folder()
    files: dict[str, Callable[[], bytes]] = {
        f"{name}.safetensors": partial(safetensors.torch.save, tensors) for name, tensors in checkpoint.tensors.items()
    }
    files[NUMBERS] = lambda: json.dumps({"step": checkpoint.step, **checkpoint.numbers}, indent=1).encode()
    entries: dict[str, dict[str, Any]] = {}
    for name, content in files.items():
        data = content()
        (folder / name).create(data)
        entries[name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if name != NUMBERS:
            entries[name]["tensors"] = described(checkpoint.tensors[Path(name).stem])
    manifest = {"format": FORMAT, "step": checkpoint.step, "files": entries}
    (folder / MANIFEST).create(json.dumps(manifest, indent=1).encode())
    folder.sync_folder()


def _fault(folder: SafePath, step: int) -> str | None:
    """Return what is wrong with the checkpoint of a step, or None if all sizes and checksums match."""
    try:
        for _ in verified_files(folder, read_manifest(folder, step)[0]):
            pass
    except Fault as fault:
        return str(fault)
    return None


def _load(folder: SafePath, step: int | None) -> Checkpoint:
    """Verify and load a checkpoint. Raise Fault if it is damaged."""
    manifest, sha256 = read_manifest(folder, step)
    tensors: dict[str, dict[str, Tensor]] = {}
    numbers: Any = None
    for name, data in verified_files(folder, manifest):
        try:
            if name == NUMBERS:
                numbers = parse_json(data)
            else:
                tensors[Path(name).stem] = safetensors.torch.load(data)
        except Exception as error:  # safetensors raises its own exceptions and others
            raise Fault(f"{name} cannot be decoded: {error}") from error
    if not isinstance(numbers, dict) or numbers.pop("step", None) != manifest.step:
        raise Fault(f"{NUMBERS} does not belong to step {manifest.step}")
    for group, named in tensors.items():
        listed = manifest.files[f"{group}.safetensors"].tensors or {}
        if described(named) != {name: entry.model_dump() for name, entry in listed.items()}:
            raise Fault(f"the tensors in {group}.safetensors are not those listed in the manifest")
    return Checkpoint(manifest.step, tensors, numbers, sha256)


def is_checkpoint(folder: Path) -> bool:
    """Return whether `folder` contains a checkpoint manifest. The checkpoint may still be damaged."""
    try:
        return (SafePath(folder) / MANIFEST).is_file()
    except OSError:
        return False


def list_checkpoints(root: Path) -> list[Path]:
    """Return the `step-N` folders in `root`, newest first, without verifying them."""
    return [root / f"step-{step}" for step in _steps(_inside(root))]


def _steps(folder: SafePath) -> list[int]:
    return sorted((int(found[1]) for name in folder.names() if (found := _NAME.fullmatch(name))), reverse=True)


def newest_checkpoint(root: Path) -> Checkpoint:
    """Return the newest valid checkpoint in `root`, with a warning about each newer one that is damaged.

    Raises:
        NoCheckpointError: There is no valid checkpoint. The message says what is wrong with each.
    """
    faults: list[str] = []
    try:
        for step in _steps(folder := _inside(root)):
            try:
                checkpoint = _load(folder / f"step-{step}", step)
            except Fault as fault:
                faults.append(f"step-{step} is damaged: {fault}")
            else:
                if faults:
                    warnings.warn(f"{'; '.join(faults)}; using {root / f'step-{step}'} instead", stacklevel=2)
                return checkpoint
    except OSError as error:
        faults.append(f"{error.filename}: {error.strerror}")
    again = f"start again with: gentool run {root.parent / 'resolved.yaml'}"
    raise NoCheckpointError("; ".join([f"no valid checkpoint in {root}", *faults, again]))


def load_checkpoint(folder: Path) -> Checkpoint:
    """Return the checkpoint in `folder`, which may have any name.

    Raises:
        NoCheckpointError: The checkpoint does not exist or is damaged.
    """
    try:
        return _load(SafePath(folder), None)
    except Fault as fault:
        raise NoCheckpointError(f"{folder} is not a valid checkpoint: {fault}") from fault


def _prune(folder: SafePath, keep: int, verified: Collection[int]) -> None:
    valid = 0
    for step in _steps(folder):
        checkpoint = folder / f"step-{step}"
        if valid >= keep:
            checkpoint.remove()
        elif step in verified or _fault(checkpoint, step) is None:
            valid += 1
