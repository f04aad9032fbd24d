"""The checkpoints that references in a recipe mean."""

from __future__ import annotations

from pathlib import Path

from gentoolkit.errors import UsageError
from gentoolkit.references import RunRef
from gentoolkit.rundir import RunDir
from gentoolkit.training import Checkpoint, is_checkpoint, load_checkpoint, newest_checkpoint


def find_checkpoint(path: Path, step: int | None = None) -> tuple[Path, Checkpoint]:
    """Return a checkpoint and its folder: the one at `path`, or of the run at `path` that of `step` or the newest one.

    Raises:
        UsageError: `path` is neither a checkpoint nor a run, or the checkpoint is of another step.
        NoCheckpointError: There is no valid checkpoint, or none of this step.
    """
    if is_checkpoint(path):
        folder, checkpoint = path, load_checkpoint(path)
    else:
        root = RunDir.open(path).checkpoints
        checkpoint = newest_checkpoint(root) if step is None else load_checkpoint(root / f"step-{step}")
        folder = root / f"step-{checkpoint.step}"
    if step not in (None, checkpoint.step):
        raise UsageError(f"{folder} is the checkpoint of step {checkpoint.step}, not of step {step}")
    return folder, checkpoint


def follow_reference(reference: RunRef, field: str) -> tuple[RunRef, Checkpoint]:
    """Return the reference with the step and the hash of the checkpoint that it means, and the checkpoint.

    Messages refer to it as `field` of the recipe.

    Raises:
        UsageError: There is no such run, or the checkpoint has another hash.
        NoCheckpointError: There is no valid checkpoint.
    """
    folder, checkpoint = find_checkpoint(Path(reference.run), reference.step)
    if reference.sha256 not in (None, checkpoint.sha256):
        raise UsageError(
            f"{field}: the checkpoint {folder} has changed: its manifest has the hash {checkpoint.sha256}, "
            f"expected {reference.sha256}; remove {field}.sha256 to use it anyway"
        )
    run = str(Path(reference.run).absolute())
    return RunRef(run=run, step=checkpoint.step, sha256=checkpoint.sha256), checkpoint
