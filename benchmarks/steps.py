"""Training steps of the reference recipe: ours, the plain script's, the peers', and the limit, in the same rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median

import torch
from torch.utils.data import TensorDataset

from benchmarks import limit
from benchmarks.peers import TRAININGS, TrainingMaker, installed
from benchmarks.plain_script import PlainTraining
from benchmarks.reference import precisions, reference, step_of, training_data
from benchmarks.timing import Row, by_itself, interleaved, ratio

SECTION = "training step"
LIMIT = "fraction of the limit"
WARM_UP = 3
GIVEN_BACK = "freed memory given back"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
#: Large enough for the full rate, small enough for the caches.
SQUARE = limit.Product(2048, 2048, 2048)

Step = Callable[[], object]
Times = Mapping[str, list[float]]


def measure(quick: bool) -> list[Row]:
    """Return ratios of whole steps; `quick` takes a smaller batch, fewer rounds and no peers."""
    batch_size, rounds = (16, 5) if quick else (64, 7)
    data = training_data()
    peers, notes = peer_steps(data, batch_size, {} if quick else installed(TRAININGS))
    # The plain script's first steps are slower than its later ones: its heap has to find its shape.
    times = interleaved(own_steps(data, batch_size) | peers, rounds, warm_up=WARM_UP)
    return [*plain_rows(times, batch_size), *peer_rows(times, notes), *limit_rows(times, batch_size)]


def own_steps(data: TensorDataset, batch_size: int) -> dict[str, Step]:
    """Return the plain script's step; for each precision ours, the limit, a large product; ours without kept memory."""
    steps: dict[str, Step] = {"plain fp32": by_itself(PlainTraining(data, batch_size).step)}
    for precision in precisions():
        steps[f"ours {precision}"] = step_of(reference(f"train.batch_size={batch_size}"), precision)
        steps[f"limit {precision}"] = limit.runner(limit.step_products(batch_size), DTYPES[precision])
        steps[f"square {precision}"] = limit.runner([SQUARE], DTYPES[precision])
    steps[GIVEN_BACK] = by_itself(step_of(reference(f"train.batch_size={batch_size}"), precisions()[-1]))
    return steps


def peer_steps(
    data: TensorDataset, batch_size: int, makers: Mapping[str, TrainingMaker]
) -> tuple[dict[str, Step], dict[str, str]]:
    """Return each peer's step in each precision, and for each peer what makes its network another one."""
    steps: dict[str, Step] = {}
    notes: dict[str, str] = {}
    for peer, make in makers.items():
        for precision in precisions():
            training = make(data, batch_size, precision)
            steps[f"{peer} {precision}"] = by_itself(training.step)
            size = sum(p.numel() for p in training.model.parameters() if p.requires_grad)
            notes[peer] = f"{size / 1e6:.2f} M parameters, ours 7.44 M: {training.differs}"
    return steps, notes


def plain_rows(times: Times, batch_size: int) -> list[Row]:
    """Return the plain script's time over ours, and what keeping freed memory gives."""
    note = f"batch {batch_size}; plain: {median(times['plain fp32']):.2f} s a step"
    ours = [name for name in times if name.startswith("ours")]
    rows = [ratio(SECTION, f"plain fp32 / {name}", times["plain fp32"], times[name], note) for name in ours]
    note = "ours, but under glibc's own limit for kept memory"
    return [*rows, ratio(SECTION, f"{GIVEN_BACK} / {ours[-1]}", times[GIVEN_BACK], times[ours[-1]], note)]


def peer_rows(times: Times, notes: Mapping[str, str]) -> list[Row]:
    """Return the peers' times over our best: the quickest peer as it comes and at its best, then each of them.

    A peer comes in fp32; its best precision is the one that is quicker here.
    """

    def quickest(names: list[str]) -> str:
        return min(names, key=lambda name: median(times[name]))

    if not notes:
        return []
    best = quickest([name for name in times if name.startswith("ours")])
    as_they_come = quickest([f"{peer} fp32" for peer in notes])
    all_of_them = [name for name in times if name.split()[0] in notes]
    at_best = quickest(all_of_them)
    return [
        ratio(SECTION, f"quickest peer as it comes / {best}", times[as_they_come], times[best], as_they_come),
        ratio(SECTION, f"quickest peer at its best / {best}", times[at_best], times[best], at_best),
        *(ratio(SECTION, f"{name} / {best}", times[name], times[best], notes[name.split()[0]]) for name in all_of_them),
    ]


def limit_rows(times: Times, batch_size: int) -> list[Row]:
    """Return which part of a step's time its matrix products alone would take."""
    products = limit.step_products(batch_size)
    operations = limit.flops(products)
    rows = []
    for precision in precisions():
        alone, square = times[f"limit {precision}"], times[f"square {precision}"]
        note = f"{operations / 1e9:.0f} GFLOP at {operations / median(alone) / 1e9:.0f} GFLOP/s"
        at_full_rate = [seconds * operations / SQUARE.flops for seconds in square]
        full = f"at the {SQUARE.flops / median(square) / 1e9:.0f} GFLOP/s of 2048 x 2048 matrices"
        ours = times[f"ours {precision}"]
        rows.append(ratio(LIMIT, f"its products alone / our step, {precision}", alone, ours, note))
        rows.append(ratio(LIMIT, f"its operations at full rate / our step, {precision}", at_full_rate, ours, full))
    return rows
