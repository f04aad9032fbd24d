"""The directory of a run: its files and how they are read and written."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from gentoolkit.errors import GentoolError, UsageError, writing_failed
from gentoolkit.metricslog import MetricsLog, line_of, read_records
from gentoolkit.records import Evaluation, Finished, Record, Step, last
from gentoolkit.safefiles import SafePath, write_all

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no advisory locks of this kind
    fcntl = None  # type: ignore[assignment]

#: Maximum size of a run's recipe in bytes.
MAX_RECIPE = 2**20


@dataclass(frozen=True)
class RunDir:
    """A run's directory `runs/<name>-<n>/` and the paths inside it.

    All files in it are opened through `inside`, so that a malicious directory cannot make gentoolkit access files
    outside of it.
    """

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    @classmethod
    def create(cls, root: Path, name: str) -> RunDir:
        """Create `root/<name>-<n>` with the first unused n, starting at 1.

        Raises:
            UsageError: `root` is not writable.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            for number in count(1):
                run = cls(root / f"{name}-{number}")
                with suppress(FileExistsError):
                    run.path.mkdir()
                    break
            for folder in (run.checkpoints, run.samples, run.images):
                folder.mkdir()
        except OSError as error:
            raise writing_failed(error, f"cannot create a run in {str(root)!r}", "choose another --out") from error
        return run

    @classmethod
    def open(cls, path: os.PathLike[str] | str) -> RunDir:
        """Return an existing run.

        Raises:
            UsageError: There is no run at `path`.
        """
        run = cls(Path(path))
        try:
            if run.inside(run.resolved).is_file():
                return run
        except OSError as error:
            raise UsageError(f"cannot open the run {str(path)!r}: {error.strerror}") from error
        raise UsageError(
            f"{str(path)!r} is not a run: it contains no {run.resolved.name}; to list runs, use: gentool ls"
        )

    def inside(self, path: Path) -> SafePath:
        """Return one of the paths in this directory for safe reading and writing."""
        return SafePath(self.path, path.relative_to(self.path).parts)

    recipe = property(lambda self: self.path / "recipe.yaml", doc="The recipe as written.")
    resolved = property(lambda self: self.path / "resolved.yaml", doc="The recipe with all defaults and overrides.")
    provenance = property(lambda self: self.path / "provenance.json", doc="Versions, hardware and command of the run.")
    metrics = property(lambda self: self.path / "metrics.jsonl", doc="The records, one JSON object per line.")
    checkpoints = property(lambda self: self.path / "checkpoints", doc="The checkpoints, in folders step-N.")
    samples = property(lambda self: self.path / "samples", doc="Samples as safetensors files.")
    images = property(lambda self: self.path / "images", doc="Pictures.")
    report = property(lambda self: self.path / "report.html", doc="The report page.")
    log = property(lambda self: self.path / "log.txt", doc="Log messages.")

    def write(self, recipe: str, resolved: str, provenance: Mapping[str, Any]) -> None:
        """Write the files that exist from the start of the run, and sync them to disk."""
        texts = {
            self.recipe: recipe,
            self.provenance: json.dumps(provenance, indent=2) + "\n",
            self.resolved: resolved,  # written last, since it marks the directory as a run
        }
        for path, text in texts.items():
            self.inside(path).write(text.encode())

    def resolved_text(self) -> str:
        """Return the text of `resolved.yaml`.

        Raises:
            UsageError: The file cannot be read.
        """
        try:
            return self.inside(self.resolved).read(MAX_RECIPE).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {self.resolved}: {_reason(error)}") from error

    def replace_resolved(self, text: str) -> None:
        """Replace the text of `resolved.yaml` atomically."""
        if self.resolved_text() == text:
            return
        file = self.inside(self.resolved)
        beside = file.sibling(f".{file.name}.new")
        beside.write(text.encode())
        beside.rename(file)
        beside.folder.sync_folder()

    def origin(self) -> dict[str, Any]:
        """Return the content of `provenance.json`.

        Raises:
            GentoolError: The file cannot be read, or does not contain a JSON object.
        """
        try:
            origin = self.inside(self.provenance).read_json()
        except (OSError, ValueError) as error:
            raise GentoolError(f"cannot read {self.provenance}: {_reason(error)}") from error
        if not isinstance(origin, dict):
            raise GentoolError(f"cannot read {self.provenance}: it is not a JSON object")
        return origin

    def records(self) -> list[Record]:
        """Return the records of `metrics.jsonl`; see `read_records`."""
        return read_records(self.inside(self.metrics))

    def summary(self) -> dict[str, Any]:
        """Return the paths, times and last evaluation of the run, as plain JSON data."""
        records = self.records()
        finished, evaluation = last(records, Finished), last(records, Evaluation)
        return {
            "run": str(self.path),
            "report": str(self.report),
            "seconds": finished.seconds if finished else None,
            "evaluation": evaluation.content() if evaluation else None,
        }

    def status(self) -> dict[str, Any]:
        """Return the run's state, last step and validation loss, as plain JSON data."""
        records, readable = list[Record](), True
        try:
            records = self.records()
        except OSError as error:
            readable = False
            warnings.warn(f"cannot read {error.filename}: {error.strerror}", stacklevel=2)
        step, evaluation = last(records, Step), last(records, Evaluation)
        state = "finished" if last(records, Finished) else "unfinished"
        return {
            "run": str(self.path),
            "state": state if readable else "unreadable",
            "step": step.step if step else 0,
            "validation_loss": evaluation.validation.loss if evaluation else None,
            "path": evaluation.validation.path if evaluation else None,
            "started": self.started(),
        }

    def started(self) -> float:
        """Return the start time of the run, in seconds since 1970."""
        return self.resolved.lstat().st_mtime

    def append(self, record: Record) -> None:
        """Append a record to `metrics.jsonl`."""
        with self.inside(self.metrics).writing() as descriptor:
            write_all(descriptor, line_of(record))

    @contextmanager
    def appending(self) -> Iterator[MetricsLog]:
        """Open `metrics.jsonl` to append records to it."""
        with self.inside(self.metrics).writing() as descriptor:
            yield MetricsLog(descriptor)

    def sync_metrics(self) -> None:
        """Sync `metrics.jsonl` to disk."""
        with self.inside(self.metrics).writing() as descriptor:
            os.fsync(descriptor)

    def note(self, message: str) -> None:
        """Append a message to `log.txt`."""
        with self.inside(self.log).writing() as descriptor:
            write_all(descriptor, f"{datetime.now():%Y-%m-%d %H:%M:%S} {message}\n".encode(errors="replace"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the run, so that no other process writes to it.

        Raises:
            UsageError: The run is not writable.
            GentoolError: Another process has locked the run.
        """
        with ExitStack() as stack:
            try:
                descriptor = stack.enter_context(self.inside(self.path / ".lock").writing())
            except OSError as error:
                raise writing_failed(error, f"cannot write to the run {str(self.path)!r}") from error
            if fcntl is not None:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    raise GentoolError(f"{self.path} is in use by another process; wait for it or stop it") from error
            yield


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def list_runs(root: os.PathLike[str] | str = "runs") -> list[RunDir]:
    """Return the runs in `root`, oldest first; empty if the folder does not exist.

    Raises:
        UsageError: `root` is a file.
    """
    root = Path(root)
    try:
        found = [RunDir(path) for path in root.iterdir()]
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise UsageError(f"{str(root)!r} is a file; expected the folder that contains the runs") from None
    except OSError as error:
        raise UsageError(f"cannot list the runs in {str(root)!r}: {error.strerror}") from error
    runs = []
    for run in found:
        with suppress(OSError):
            if run.inside(run.resolved).is_file():
                runs.append(run)
    return sorted(runs, key=RunDir.started)


def check_writable(root: Path) -> None:
    """Check that a run can be created in `root`, without creating anything.

    Raises:
        UsageError: `root`, or its nearest existing parent, is not a writable folder.
    """
    try:
        nearest = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.exists())
    except OSError as error:
        raise writing_failed(error, f"cannot create runs in {str(root)!r}", "choose another --out") from error
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise UsageError(
            f"cannot create runs in {str(root)!r}: {nearest} is not a writable folder; choose another --out"
        )
