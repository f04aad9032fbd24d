"""Damage to every file of a run."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from torture.runs import STEPS, Reference, gentool, in_child, require, require_clean

Damage = Callable[[Path, random.Random], None]


def truncate(file: Path, rng: random.Random) -> None:
    os.truncate(file, rng.randrange(max(1, file.stat().st_size)))


def flip(file: Path, rng: random.Random) -> None:
    data = bytearray(file.read_bytes())
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def empty(file: Path, rng: random.Random) -> None:
    os.truncate(file, 0)


def delete(file: Path, rng: random.Random) -> None:
    file.unlink()


def swap(file: Path, rng: random.Random) -> None:
    """Exchange it with another file of its folder or, if it is alone there, of the folder above."""
    folders = (file.parent, file.parent.parent)
    others = (sorted(other for other in folder.iterdir() if other.is_file() and other != file) for folder in folders)
    _exchange(file, rng.choice(next(filter(None, others))))


def swap_with_older(file: Path, rng: random.Random) -> None:
    """Exchange it with the file of that name in the other checkpoint, where it lies in one."""
    others = [other for other in sorted(file.parent.parent.glob(f"step-*/{file.name}")) if other != file]
    _exchange(file, others[0]) if others else swap(file, rng)


def _exchange(one: Path, other: Path) -> None:
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def make_folder(file: Path, rng: random.Random) -> None:
    file.unlink()
    file.mkdir()


def make_pipe(file: Path, rng: random.Random) -> None:
    file.unlink()
    os.mkfifo(file)


def make_link(file: Path, rng: random.Random) -> None:
    outside = file.parents[3] / "outside"
    shutil.copy(file, outside)
    file.unlink()
    file.symlink_to(outside)


DAMAGES: tuple[Damage, ...] = (truncate, flip, empty, delete, swap, swap_with_older, make_folder, make_pipe, make_link)


def of_checkpoint(reference: Reference, out: Path, rng: random.Random, name: str, damage: Damage) -> str:
    """Damage a file of the newest checkpoint: the run goes on from the older one, with a warning, to the same end."""
    run = _copied(reference, out)
    damage(run / "checkpoints" / f"step-{STEPS}" / name, rng)
    swapped = damage is swap_with_older  # the older one is damaged by the same stroke
    outcome = in_child(gentool("resume", run))
    require_clean(outcome, {4 if swapped else 0})
    require(f"step-{STEPS} is damaged: " in outcome.output, "the damage is not named", outcome)
    if not swapped:
        require("; using " in outcome.output, "no warning names the older checkpoint", outcome)
        reference.require_weights(run, outcome)
        reference.require_rows(run, outcome)
    return "exit code 4" if swapped else "older checkpoint"


def of_both_checkpoints(reference: Reference, out: Path, rng: random.Random, name: str, damage: Damage) -> str:
    """Damage a file of every checkpoint: no verb goes on, and nothing is lost."""
    run = _copied(reference, out)
    for folder in sorted((run / "checkpoints").iterdir()):
        if (folder / name).is_file() and not (folder / name).is_symlink():
            damage(folder / name, rng)
    before = _names(run)
    for verb in ("resume", "sample", "eval", "report"):
        outcome = in_child(gentool(verb, run))
        require_clean(outcome, {4})
        require("no valid checkpoint" in outcome.output, "it is not said that there is no checkpoint", outcome)
    require(_names(run) - {Path(".lock")} == before - {Path(".lock")}, "files appeared or vanished", outcome)
    return "exit code 4"


def of_run(reference: Reference, out: Path, rng: random.Random, name: str, damage: Damage) -> str:
    """Damage another file of a run: every verb works or says why not, and the weights stay what they were."""
    run = _copied(reference, out)
    damage(run / name, rng)
    outside = run.parents[1] / "outside"
    before = outside.read_bytes() if outside.exists() else b""
    codes = []
    for verb in ("ls", "report", "sample", "resume"):
        outcome = in_child(gentool(verb, run.parent if verb == "ls" else run))
        require_clean(outcome, {0, 1, 2})
        codes.append(outcome.code)
    reference.require_weights(run, outcome)
    require(not before or outside.read_bytes() == before, "something was written through a link", outcome)
    return "some verbs say what is wrong" if any(codes) else "all verbs work"


def _copied(reference: Reference, out: Path) -> Path:
    shutil.rmtree(out, ignore_errors=True)
    return Path(shutil.copytree(reference.path, out / "runs" / "smoke-1"))


def _names(run: Path) -> set[Path]:
    return {file.relative_to(run) for file in run.rglob("*")}


def files_of_checkpoint(reference: Reference) -> list[str]:
    return sorted(file.name for file in (reference.path / "checkpoints" / f"step-{STEPS}").iterdir())


def files_of_run(reference: Reference) -> list[str]:
    inside = reference.path / "checkpoints"
    files = [file for file in reference.path.rglob("*") if file.is_file() and inside not in file.parents]
    return sorted(str(file.relative_to(reference.path)) for file in files)
