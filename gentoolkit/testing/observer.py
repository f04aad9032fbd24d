"""Contracts for observers."""

from __future__ import annotations

import copy
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from gentoolkit.observers import Observer
from gentoolkit.registry import build
from gentoolkit.testing.contracts import Case, ContractError, contract, fail, require
from gentoolkit.testing.measures import global_randomness_kept
from gentoolkit.testing.running import described

#: Number of steps of an example run.
STEPS = 6
Event = tuple[str, tuple[Any, ...]]


def observe(case: Case, observer: Observer) -> dict[str, Tensor]:
    """Return what must be equal for two equal observers: nothing, since what they write may have times of day in it."""
    return {}


@contextmanager
def example_run() -> Iterator[Path]:
    """Yield a run's directory with the usual folders and a samples file."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder).resolve() / "example-1"
        for name in ("checkpoints/step-3", "samples", "images"):
            (run / name).mkdir(parents=True)
        save_file({"x1": torch.zeros(4, 1, 8, 8), "condition": torch.arange(4)}, run / "samples/samples.safetensors")
        yield run


def events(run: Path, first: int = 0, end: str = "finished", loss: float = 1.0) -> Iterator[Event]:
    """Yield the events of a run: method and arguments.

    Args:
        run: The run's directory.
        first: Number of steps that are already trained.
        end: How the run ends: "finished", "failed" or "" if its process is killed.
        loss: Its loss after one step.
    """
    recipe = {
        "version": 2,
        "name": "example",
        "dataset": {"type": "patterns", "num_samples": 16},
        "backbone": {"type": "dit", "depth": 2},
        "train": {"steps": STEPS, "batch_size": 8},
    }
    yield "started", (recipe, first)
    for step in range(first + 1, STEPS + 1):
        yield "step", (step, {"loss": loss / step, "gradient_norm": 1.0, "learning_rate": 1e-3})
        if step % 2 == 0:
            yield "validation", (step, {"loss": loss / step, "loss_by_t": [loss, 0.5 * loss], "path": "linear"})
        if step % 3 == 0:
            yield "checkpoint", (step, run / f"checkpoints/step-{step}")
    if end == "finished":
        yield "samples", (run / "samples/samples.safetensors",)
        evaluation = {"step": STEPS, "validation": {"loss": loss / STEPS}, "metrics": []}
        paths = {"run": str(run), "report": str(run / "report.html")}
        yield "finished", ({**paths, "seconds": {"train": 1.0}, "evaluation": evaluation},)
    elif end == "failed":
        yield "failed", ("PluginError: the disk is on fire",)
    if end:
        yield "close", ()


def follow(case: Case, run: Path, **example: Any) -> None:
    """Build an observer of a run's directory and call it for the events of an example run."""
    observer = build(case.config, directory=run)
    for event, arguments in events(run, **example):
        getattr(observer, event)(*arguments)


@contextmanager
def _stdout_kept() -> Iterator[None]:
    """Require that the block does not write to stdout, through `sys.stdout` or to its file descriptor."""
    printed = io.StringIO()
    with tempfile.TemporaryFile() as file:
        kept = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            with redirect_stdout(printed):
                yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        text = printed.getvalue() + file.read().decode(errors="replace")
    require(not text, f"it prints {text[:80]!r} to stdout, which is reserved for results; print to stderr instead")


@contract("observer.events")
def follows(case: Case) -> None:
    """Every event is handled without raising, printing to stdout, using global generators or changing arguments.

    Three example runs of six steps: one finishes, one fails, and one is killed after its last step and resumed from
    step 3, with a new observer of the same directory.

    Power: any exception, any output on stdout, any draw from the global generators of torch, numpy and Python, and any
    change of an argument, in these runs.
    """
    for parts in ([(0, "finished")], [(0, "failed")], [(0, ""), (3, "finished")]):
        with example_run() as run:
            observers = []
            for first, end in parts:
                observers.append(build(case.config, directory=run))
                for event, arguments in events(run, first, end):
                    _call(observers[-1], event, arguments)
            for killed in observers[:-1]:
                with suppress(Exception):
                    killed.close()  # its process is gone; here, its files would stay open


def _call(observer: Observer, event: str, arguments: tuple[Any, ...]) -> None:
    given = copy.deepcopy(arguments)
    try:
        with _stdout_kept(), global_randomness_kept():
            getattr(observer, event)(*given)
    except ContractError as fault:
        fail(f"{event}: {fault}")
    except (Exception, SystemExit) as fault:
        fail(f"{event} raises {described(fault)}")
    require(given == arguments, f"{event} changes its arguments: {arguments} becomes {given}")


@contract("observer.directory")
def directory(case: Case) -> None:
    """Building an observer writes nothing, and what it writes afterwards is inside the run's directory.

    The trial before a run builds every observer for a folder that is then deleted.

    Power: any file that Python code opens for writing, and any file or folder that it makes, renames or removes outside
    of the directory, in an example run that follows another one. Paths relative to a folder's descriptor and code that
    is not Python are not detected.
    """
    with example_run() as run:
        before = sorted(run.rglob("*"))
        build(case.config, directory=run)
        made = sorted(str(path.relative_to(run)) for path in {*run.rglob("*")} - {*before})
        require(not made, f"building it makes {', '.join(made)}; do so in started()")
        follow(case, run)  # what it imports may write caches
    with example_run() as run, _written() as paths:
        follow(case, run)
        outside = [path for path in dict.fromkeys(paths) if not Path(path).is_relative_to(run)]
        require(not outside, f"it writes {', '.join(outside[:3])}, outside of the run's directory")


#: Audit events (PEP 578) that change files -> the positions of the changed paths, and of descriptors of their folders.
_CHANGES = {
    "os.mkdir": ((0,), (2,)),
    "os.remove": ((0,), (1,)),
    "os.rmdir": ((0,), (1,)),
    "os.rename": ((0, 1), (2, 3)),
    "os.link": ((1,), (3,)),
    "os.symlink": ((1,), (2,)),
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
#: The lists that receive the paths of changed files. An audit hook can't be removed, so there is one, and it is idle.
_listeners: list[list[str]] = []


@contextmanager
def _written() -> Iterator[list[str]]:
    """Yield a list that receives the path of every file or folder that Python code changes within the block."""
    if not hasattr(_heard, "added"):
        sys.addaudithook(_heard)
        setattr(_heard, "added", True)  # noqa: B010 - mypy knows no attributes of functions
    paths: list[str] = []
    _listeners.append(paths)
    try:
        yield paths
    finally:
        _listeners.remove(paths)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if not _listeners or not (event == "open" or event in _CHANGES):
        return
    paths, folders = _CHANGES.get(event, ((0,), ()))
    if event == "open":
        name, mode, flags = arguments
        if isinstance(name, int) or not flags & _WRITES:
            return
        if mode is None and not Path(os.fsdecode(name)).is_absolute():  # os.open: may be relative to a descriptor
            return
    if any(arguments[folder] != -1 for folder in folders):
        return
    names = [os.path.realpath(os.fsdecode(arguments[path])) for path in paths]
    for changed in _listeners:
        changed.extend(name for name in names if name != os.devnull)


@contract("observer.state")
def state(case: Case) -> None:
    """What an observer writes does not depend on the runs that were observed before in the same process.

    A run is observed three times, the third time after one with smaller losses. Files that differ between the first and
    the second time, because of a time of day for example, need only exist. Digits in file names are ignored.

    Power: any other difference between the files; any file that is not written again.
    """
    first, second, _, last = (_files(case, loss) for loss in (1.0, 1.0, 0.5, 1.0))
    for again in (second, last):
        missing = sorted(first.keys() ^ again.keys())
        require(not missing, f"{', '.join(missing)} is not written in every one of several equal runs")
    changed = sorted(name for name in first if first[name] == second[name] != last[name])
    require(not changed, f"{', '.join(changed)} depends on a run that was observed before")


def _files(case: Case, loss: float) -> dict[str, list[bytes]]:
    """Observe a run, and return the contents of its files by name. A number in a name is replaced by 0."""
    with example_run() as run:
        before = {*run.rglob("*")}
        follow(case, run, loss=loss)
        found: dict[str, list[bytes]] = {}
        for path in sorted(path for path in {*run.rglob("*")} - before if path.is_file()):
            name = re.sub(r"\d+", "0", str(path.relative_to(run)))
            found.setdefault(name, []).append(path.read_bytes().replace(os.fsencode(run), b"run"))
        return found
