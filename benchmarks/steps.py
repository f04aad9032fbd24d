"""Training steps of the reference recipe: ours, the plain script's and the peers', in interleaved rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from statistics import median

from benchmarks.peers import TRAININGS, installed
from benchmarks.plain_script import PlainTraining
from benchmarks.reference import precisions, reference, step_of, training_data
from benchmarks.timing import Row, in_processes, interleaved, ratio
from gentoolkit.devices import keep_freed_memory

SECTION = "training step"
#: The plain script's first steps are slower than its later ones: its heap has to find its shape.
WARM_UP = 8
GIVEN_BACK = "freed memory given back"
#: glibc by itself keeps freed blocks below 32 MiB, at most.
GLIBC_KEEPS = 2**25

Step = Callable[[], object]
StepMaker = Callable[[], Step]
Times = Mapping[str, list[float]]


def measure(quick: bool) -> list[Row]:
    """Return ratios of whole steps; `quick` takes a smaller batch, fewer rounds and no peers."""
    batch_size, rounds, warm_up = (16, 5, 1) if quick else (64, 11, WARM_UP)
    with in_processes(own_makers(batch_size)) as steps:
        times = interleaved(steps, rounds, warm_up)
    rows = plain_rows(times, batch_size)
    return rows if quick else rows + peer_rows(peer_times(batch_size, rounds), peer_notes())


def own_makers(batch_size: int) -> dict[str, StepMaker]:
    """Return what makes the plain script's step and ours, the latter in each precision."""
    makers: dict[str, StepMaker] = {"plain fp32": partial(plain_step, batch_size)}
    for precision in precisions():
        makers[f"ours {precision}"] = partial(our_step, batch_size, precision)
    makers[GIVEN_BACK] = partial(our_step, batch_size, precisions()[-1], kept=GLIBC_KEEPS)
    return makers


def plain_step(batch_size: int) -> Step:
    """Return the plain script's step."""
    return PlainTraining(training_data(), batch_size).step


def our_step(batch_size: int, precision: str, kept: int | None = None) -> Step:
    """Return our step; with freed blocks kept up to `kept` bytes instead of what building a model sets."""
    step = step_of(reference(f"train.batch_size={batch_size}"), precision)
    if kept is not None:
        keep_freed_memory(kept)
    return step


def peer_step(peer: str, batch_size: int, precision: str) -> Step:
    """Return a peer's step."""
    return installed(TRAININGS)[peer](training_data(), batch_size, precision).step


def peer_times(batch_size: int, rounds: int) -> dict[str, Times]:
    """Return for each peer the times of its steps in each precision, beside those of our best."""
    times: dict[str, Times] = {}
    best = precisions()[-1]
    for peer in installed(TRAININGS):
        makers: dict[str, StepMaker] = {f"ours {best}": partial(our_step, batch_size, best)}
        makers |= {f"{peer} {precision}": partial(peer_step, peer, batch_size, precision) for precision in precisions()}
        with in_processes(makers) as steps:
            times[peer] = interleaved(steps, rounds, WARM_UP)
    return times


def peer_notes() -> dict[str, str]:
    """Return for each peer what makes its network another one."""
    notes: dict[str, str] = {}
    for peer, make in installed(TRAININGS).items():
        training = make(training_data(), 1, "fp32")
        size = sum(p.numel() for p in training.model.parameters() if p.requires_grad)
        notes[peer] = f"{size / 1e6:.2f} M parameters, ours 7.44 M: {training.differs}"
    return notes


def plain_rows(times: Times, batch_size: int) -> list[Row]:
    """Return the plain script's time over ours, and what keeping freed memory gives."""
    note = f"batch {batch_size}; plain: {median(times['plain fp32']):.2f} s a step"
    ours = [name for name in times if name.startswith("ours")]
    rows = [ratio(SECTION, f"plain fp32 / {name}", times["plain fp32"], times[name], note) for name in ours]
    note = "ours, but under glibc's own limit for kept memory"
    return [*rows, ratio(SECTION, f"{GIVEN_BACK} / {ours[-1]}", times[GIVEN_BACK], times[ours[-1]], note)]


def peer_rows(times: Mapping[str, Times], notes: Mapping[str, str]) -> list[Row]:
    """Return the peers' times over our best: the quickest peer as it comes and at its best, then each of them.

    A peer comes in fp32; its best precision is the one that is quicker here.
    """
    rows = []
    for peer, of_peer in times.items():
        (ours,) = (name for name in of_peer if name.startswith("ours"))
        theirs = [name for name in of_peer if name != ours]
        rows += [ratio(SECTION, f"{name} / {ours}", of_peer[name], of_peer[ours], notes[peer]) for name in theirs]
    if not rows:
        return []

    def quickest(rows: list[Row], title: str) -> Row:
        row = min(rows, key=lambda row: row.median)
        name, ours = row.name.split(" / ")
        return replace(row, name=f"quickest peer {title} / {ours}", note=name)

    as_they_come = quickest([row for row in rows if " fp32 / " in row.name], "as it comes")
    return [as_they_come, quickest(rows, "at its best"), *rows]
