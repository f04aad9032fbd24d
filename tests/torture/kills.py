"""Kills, at random moments and at every write."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gentoolkit.training import list_checkpoints
from torture.runs import Outcome, Reference, gentool, in_child, new_run, require, require_clean, was_killed

#: The system calls that change something on the disk.
CALLS = ("open", "write", "fsync", "replace", "mkdir", "unlink", "rmdir", "ftruncate")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Writes:
    """Counts the calls that change the disk, from any thread, and kills the process at one of two moments around one.

    Args:
        moment: 2k kills before call k (in the midst of it, where it writes data), 2k + 1 just after it; None: never.
    """

    def __init__(self, moment: int | None = None) -> None:
        self.moment, self.count, self.lock = moment, 0, threading.Lock()

    def install(self) -> None:
        for name in CALLS:
            setattr(os, name, self.counted(name, getattr(os, name)))

    def counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if name == "open" and not arguments[1] & _WRITES:
                return real(*arguments, **options)
            with self.lock:
                number, self.count = self.count, self.count + 1
            if self.moment == 2 * number:
                if name == "write":
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*arguments, **options)
            if self.moment == 2 * number + 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call


def killed_at_write(action: Callable[[], int], moment: int) -> Callable[[], int]:
    def killed() -> int:
        Writes(moment).install()
        return action()

    return killed


def killed_after(action: Callable[[], int], seconds: float) -> Callable[[], int]:
    """Return the action, ended by the kernel after so much processor time: no clock, and no chance to clean up."""

    def killed() -> int:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, max(seconds, 1e-4))
        return action()

    return killed


def count_writes(out: Path) -> int:
    """Return how many calls of an uninterrupted run change the disk."""
    shown = "writes in total: "

    def counting() -> int:
        writes = Writes()
        writes.install()
        code = new_run(out)()
        print(f"{shown}{writes.count}")
        return code

    outcome = in_child(counting)
    require_clean(outcome, {0})
    shutil.rmtree(out)
    return int(outcome.output.rsplit(shown, 1)[1].split()[0])


def survives(reference: Reference, out: Path, kill: Callable[..., Callable[[], int]], moments: list[Any]) -> str:
    """Kill a new run, then its resumptions, at these moments; resume it to the end, compare, and say what became of it.

    A run that was killed before its first checkpoint was on the disk can't be resumed, and must say so.
    """
    run = out / "smoke-1"
    outcome = in_child(kill(new_run(out), moments[0]))
    require(was_killed(outcome) or outcome.code == 0, "a run that was killed ended by itself", outcome)
    for moment in moments[1:]:
        if list_checkpoints(run / "checkpoints"):
            outcome = in_child(kill(gentool("resume", run), moment))
            require(was_killed(outcome) or outcome.code == 0, "a resumed run that was killed ended by itself", outcome)
    had_checkpoint = bool(list_checkpoints(run / "checkpoints"))
    outcome = in_child(gentool("resume", run))
    result = _judge(reference, run, had_checkpoint, outcome)
    shutil.rmtree(out, ignore_errors=True)
    return result


def _judge(reference: Reference, run: Path, had_checkpoint: bool, outcome: Outcome) -> str:
    if not had_checkpoint:
        require_clean(outcome, {2, 4})
        return "nothing saved yet"
    require_clean(outcome, {0})
    require("warning" not in outcome.output, "a kill alone damages nothing", outcome)
    reference.require_weights(run, outcome)
    reference.require_rows(run, outcome)
    return "resumed bit for bit"


def at_random_moments(reference: Reference, out: Path, rng: random.Random) -> str:
    """Kill a run one to three times, at random moments of its processor time."""
    moments = [rng.uniform(0, reference.seconds) for _ in range(rng.randint(1, 3))]
    return survives(reference, out, killed_after, moments)


def at_a_write(reference: Reference, out: Path, rng: random.Random, moment: int, total: int) -> str:
    """Kill a run at a given write, and every second time its resumption at a random one."""
    again = [rng.randrange(2 * total)] if rng.random() < 0.5 else []
    return survives(reference, out, killed_at_write, [moment, *again])
