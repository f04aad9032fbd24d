"""The directory of a run: where everything lies, and how its log of figures is written and cut back."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentoolkit.errors import GentoolError, UsageError, writing_failed

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no advisory locks of this kind
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class RunDir:
    """`runs/<name>-<n>/` and the places in it."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    @classmethod
    def create(cls, root: Path, name: str) -> RunDir:
        """Make `root/<name>-<n>` with the first free n from 1; an existing directory is never used again.

        Raises:
            UsageError: `root` can't be written.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            number = 1
            while True:
                try:
                    (path := root / f"{name}-{number}").mkdir()
                except FileExistsError:
                    number += 1
                else:
                    break
            run = cls(path)
            for folder in (run.checkpoints, run.samples, run.images):
                folder.mkdir()
        except OSError as error:
            raise writing_failed(error, f"can't make a run in {str(root)!r}, choose another --out") from error
        return run

    @classmethod
    def open(cls, path: os.PathLike[str] | str) -> RunDir:
        """Return an existing run.

        Raises:
            UsageError: There is no run at `path`.
        """
        run = cls(Path(path))
        if not run.resolved.is_file():
            raise UsageError(f"{str(path)!r} is not a run: it has no {run.resolved.name}; `gentool ls` lists the runs")
        return run

    recipe = property(lambda self: self.path / "recipe.yaml", doc="The recipe as written.")
    resolved = property(lambda self: self.path / "resolved.yaml", doc="The recipe with all defaults and overrides.")
    provenance = property(lambda self: self.path / "provenance.json", doc="What made the run.")
    metrics = property(lambda self: self.path / "metrics.jsonl", doc="One JSON object a line, in order.")
    checkpoints = property(lambda self: self.path / "checkpoints", doc="step-N folders.")
    samples = property(lambda self: self.path / "samples", doc="safetensors files.")
    images = property(lambda self: self.path / "images", doc="Pictures.")
    report = property(lambda self: self.path / "report.html", doc="The page.")
    log = property(lambda self: self.path / "log.txt", doc="What happened, in words.")

    def write(self, recipe: str, resolved: str, provenance: Mapping[str, Any]) -> None:
        """Write what is known when the run begins; it is on the disk when this returns."""
        texts = {
            self.recipe: recipe,
            self.resolved: resolved,
            self.provenance: json.dumps(provenance, indent=2) + "\n",
        }
        for path, text in texts.items():
            with path.open("w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())

    def records(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return the lines of `metrics.jsonl`, of one event where named; lines torn by a power cut are left out."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8", errors="replace").splitlines()
        records = [record for line in lines if (record := _parsed(line)) is not None]
        return [record for record in records if event in (None, record["event"])]

    def summary(self) -> dict[str, Any]:
        """Return where the run is and its last figures, as plain JSON data."""
        finished, evaluations = self.records("finished"), self.records("evaluation")
        return {
            "run": str(self.path),
            "report": str(self.report),
            "seconds": finished[-1]["seconds"] if finished else None,
            "evaluation": {k: v for k, v in evaluations[-1].items() if k != "event"} if evaluations else None,
        }

    def status(self) -> dict[str, Any]:
        """Return the run's state, last step and validation loss, as plain JSON data."""
        records = self.records()
        steps = [record["step"] for record in records if record["event"] == "step"]
        finished = any(record["event"] == "finished" for record in records)
        evaluations = [record["validation"] for record in records if record["event"] == "evaluation"]
        return {
            "run": str(self.path),
            "state": "finished" if finished else "unfinished",
            "step": steps[-1] if steps else 0,
            "validation_loss": evaluations[-1]["loss"] if evaluations else None,
            "path": evaluations[-1].get("path") if evaluations else None,
            "started": self.resolved.stat().st_mtime,
        }

    def append(self, event: str, values: Mapping[str, Any]) -> None:
        """Add one line to `metrics.jsonl`."""
        with self.appending() as append:
            append(event, values)

    @contextmanager
    def appending(self) -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
        """Keep `metrics.jsonl` open, and hand out what adds a line to it; a line is the system's once it is added."""
        with self.metrics.open("a", buffering=1, encoding="utf-8") as file:

            def append(event: str, values: Mapping[str, Any]) -> None:
                file.write(json.dumps(_plain({"event": event, **values}), allow_nan=False) + "\n")

            yield append

    def metrics_size(self) -> int:
        """Return the size of `metrics.jsonl` in bytes, which a checkpoint remembers."""
        return self.metrics.stat().st_size if self.metrics.exists() else 0

    def sync_metrics(self) -> None:
        """Bring `metrics.jsonl` to the disk."""
        with self.metrics.open("ab") as file:
            os.fsync(file.fileno())

    def truncate_metrics(self, size: int) -> None:
        """Cut `metrics.jsonl` back to `size` bytes, as a checkpoint knew it, and to whole lines."""
        if self.metrics.exists():
            with self.metrics.open("rb") as file:
                kept = file.read(size)
            os.truncate(self.metrics, kept.rfind(b"\n") + 1)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process, so that two can't write it at once.

        Raises:
            GentoolError: Another process holds it.
        """
        with (self.path / ".lock").open("w") as file:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    raise GentoolError(f"{self.path} is in use by another process; wait for it, or stop it") from error
            yield


def _plain(value: Any) -> Any:
    """Return the value with None for each number that is not finite: JSON has no word for these."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "event" in record else None


def list_runs(root: os.PathLike[str] | str = "runs") -> list[RunDir]:
    """Return the runs in `root`, oldest first; none where there is no such folder.

    Raises:
        UsageError: `root` is a file.
    """
    root = Path(root)
    if root.exists() and not root.is_dir():
        raise UsageError(f"{str(root)!r} is a file; give the folder that has the runs")
    if not root.exists():
        return []
    runs = [RunDir(path) for path in root.iterdir() if (path / "resolved.yaml").is_file()]
    return sorted(runs, key=lambda run: run.resolved.stat().st_mtime)


def check_writable(root: Path) -> None:
    """Make sure that a run can be made in `root`, without making anything.

    Raises:
        UsageError: `root`, or the nearest folder above it that exists, is no folder or can't be written.
    """
    nearest = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise UsageError(
            f"can't make runs in {str(root)!r}: {nearest} is no folder that can be written; choose another --out"
        )
