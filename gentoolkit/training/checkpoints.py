"""Checkpoints that survive a crash at any moment: safetensors, a manifest with checksums, an atomic rename.

Nothing here is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from gentoolkit.errors import NoCheckpointError, writing_failed

MANIFEST = "manifest.json"
NUMBERS = "state.json"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after a step.

    Attributes:
        step: Optimiser steps taken.
        tensors: File name without ending -> name -> tensor.
        numbers: Plain JSON data.
    """

    step: int
    tensors: dict[str, dict[str, Tensor]]
    numbers: dict[str, Any]

    def copied(self) -> Checkpoint:
        """Return a copy on the CPU, which training leaves as it is; tied weights, too, get memory of their own."""
        tensors = {
            group: {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in named.items()}
            for group, named in self.tensors.items()
        }
        return Checkpoint(self.step, tensors, self.numbers)


def save_checkpoint(root: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write `root/step-N` so that it is either whole or absent, then delete all but the newest `keep` valid ones.

    Args:
        root: Where the checkpoints lie.
        checkpoint: A `copied` one: safetensors refuses tensors that share memory.
        keep: How many are kept.

    Raises:
        OutOfSpaceError: The disk is full; earlier checkpoints stay as they are.
    """
    target = root / f"step-{checkpoint.step}"
    partial = root / f".partial-step-{checkpoint.step}"
    for leftover in root.glob(".partial-*"):
        shutil.rmtree(leftover)
    try:
        _write_files(partial, checkpoint)
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
        _sync_directory(root)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise writing_failed(error, f"no checkpoint at step {checkpoint.step}, those before it are kept") from error
    if (fault := find_fault(target)) is not None:
        raise NoCheckpointError(f"the checkpoint just written, {target}, does not verify: {fault}")
    _prune(root, keep, target)
    return target


def _write_files(folder: Path, checkpoint: Checkpoint) -> None:
    folder.mkdir(parents=True)
    files: dict[str, Callable[[], bytes]] = {
        f"{name}.safetensors": partial(safetensors.torch.save, tensors) for name, tensors in checkpoint.tensors.items()
    }
    files[NUMBERS] = lambda: json.dumps({"step": checkpoint.step, **checkpoint.numbers}, indent=1).encode()
    manifest = {}
    for name, content in files.items():
        data = content()
        _write_synced(folder / name, data)
        manifest[name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    _write_synced(folder / MANIFEST, json.dumps({"step": checkpoint.step, "files": manifest}, indent=1).encode())
    _sync_directory(folder)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def find_fault(folder: Path) -> str | None:
    """Return why the checkpoint in `folder` can't be trusted, or None where every size and checksum is right."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if missing := {NUMBERS, WEIGHTS} - manifest["files"].keys():
            return f"its manifest names no {', '.join(sorted(missing))}"
        for name, expected in manifest["files"].items():
            data = (folder / name).read_bytes()
            if len(data) != expected["size"] or hashlib.sha256(data).hexdigest() != expected["sha256"]:
                return f"{name} is not what its manifest says"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def is_checkpoint(folder: Path) -> bool:
    """Return whether `folder` looks like a checkpoint, valid or not."""
    return (folder / MANIFEST).is_file()


def list_checkpoints(root: Path) -> list[Path]:
    """Return the step-N folders in `root`, newest first, valid or not."""
    folders = [path for path in root.glob("step-*") if path.name.removeprefix("step-").isdigit()]
    return sorted(folders, key=lambda path: int(path.name.removeprefix("step-")), reverse=True)


def newest_checkpoint(root: Path) -> Path:
    """Return the newest checkpoint in `root` that verifies, with a warning where there is a newer damaged one.

    Raises:
        NoCheckpointError: There is none; the message tells what is wrong with each.
    """
    faults: list[str] = []
    for folder in list_checkpoints(root):
        if (fault := find_fault(folder)) is None:
            if faults:
                warnings.warn(f"using {folder}, because of newer ones {'; '.join(faults)}", stacklevel=2)
            return folder
        faults.append(f"{folder.name} is damaged: {fault}")
    again = f"start again with: gentool run {root.parent / 'resolved.yaml'}"
    raise NoCheckpointError("; ".join([f"no valid checkpoint in {root}", *faults, again]))


def load_checkpoint(folder: Path) -> Checkpoint:
    """Return the checkpoint in `folder`.

    Raises:
        NoCheckpointError: It is not there, or does not verify.
    """
    if (fault := find_fault(folder)) is not None:
        raise NoCheckpointError(f"{folder} is no valid checkpoint: {fault}")
    files = json.loads((folder / MANIFEST).read_bytes())["files"]
    numbers = json.loads((folder / NUMBERS).read_bytes())
    tensors = {Path(name).stem: safetensors.torch.load_file(folder / name) for name in files if name != NUMBERS}
    return Checkpoint(numbers.pop("step"), tensors, numbers)


def _prune(root: Path, keep: int, verified: Path) -> None:
    valid = 0
    for folder in list_checkpoints(root):
        if valid >= keep:
            shutil.rmtree(folder)
        elif folder == verified or find_fault(folder) is None:
            valid += 1
