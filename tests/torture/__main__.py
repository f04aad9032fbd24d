"""`python -m torture`, from the tests folder."""

from __future__ import annotations

import argparse
import os
import random
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path

import torch

from gentoolkit.plugins import load_plugins
from torture import damages, kills
from torture.runs import Reference, TortureError, preload


@dataclass(frozen=True)
class Round:
    """One thing that is done to a run.

    Attributes:
        kind: What is done, in general.
        what: What is done, in detail; with the kind and the seed, it decides what is random.
        act: Does it and returns what became of the run.
    """

    kind: str
    what: str
    act: Callable[[random.Random], str]

    def __str__(self) -> str:
        return f"{self.kind} {self.what}"


def all_rounds(reference: Reference, folder: Path, random_kills: int) -> list[Round]:
    """Return all that can be done."""
    out = folder / "tried"
    total = kills.count_writes(folder / "counted")
    act: Callable[[random.Random], str] = partial(kills.at_random_moments, reference, out)
    todo = [Round("kill at random", str(number), act) for number in range(random_kills)]
    for moment in range(2 * total):
        act = partial(kills.at_a_write, reference, out, moment=moment, total=total)
        todo.append(Round("kill at a write", f"{moment} of {2 * total}", act))
    for damage in damages.DAMAGES:
        kind = damage.__name__
        for name in damages.files_of_checkpoint(reference):
            # An exchange of their files damages both checkpoints at once.
            both = () if damage is damages.swap_with_older else (damages.of_both_checkpoints,)
            for damaged in (damages.of_checkpoint, *both):
                todo.append(Round(kind, name, partial(damaged, reference, out, name=name, damage=damage)))
        for name in damages.files_of_run(reference):
            todo.append(Round(kind, name, partial(damages.of_run, reference, out, name=name, damage=damage)))
    return todo


def main() -> int:
    """Torture, report, and return 1 where a run did what no run may do."""
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many runs are killed at random moments")
    parser.add_argument("--rounds", type=int, help="how many rounds in total, chosen by the seed; all by default")
    parser.add_argument("--only", default="", help="only the rounds that begin so, such as 'flip weights.safetensors'")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="decides what is random")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    torch.set_num_threads(1)
    load_plugins()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        os.chdir(folder)
        failed = torture(Path(folder), arguments.kills, arguments.rounds, arguments.seed, arguments.only)
    return 1 if failed else 0


def torture(folder: Path, random_kills: int, limit: int | None, seed: int, only: str = "") -> int:
    """Do the rounds and return how many failed."""
    preload(folder / "preloaded")
    reference = Reference.make(folder / "reference")
    todo = [round_ for round_ in all_rounds(reference, folder, random_kills) if str(round_).startswith(only)]
    if limit is not None:
        todo = spread(todo, limit, random.Random(seed))
    results: Counter[tuple[str, str]] = Counter()
    failed = 0
    for done, round_ in enumerate(todo, 1):
        try:
            result = round_.act(random.Random(f"{seed} {round_}"))
        except TortureError as error:
            failed += 1
            result = "FAILED"
            print(f"{round_}, with seed {seed}: {error}", flush=True)
        results[round_.kind, result] += 1
        if done % 50 == 0:
            print(f"{done} of {len(todo)} rounds, {failed} failed", flush=True)
    for (kind, result), count in sorted(results.items()):
        print(f"{kind:<16} {result:<30} {count}")
    print(f"{len(todo)} rounds, {failed} failed, seed {seed}")
    return failed


def spread(todo: list[Round], limit: int, rng: random.Random) -> list[Round]:
    """Return so many of the rounds, about as many of each kind."""
    kinds: dict[str, list[Round]] = {}
    for round_ in rng.sample(todo, len(todo)):
        kinds.setdefault(round_.kind, []).append(round_)
    return [round_ for turn in zip_longest(*kinds.values()) for round_ in turn if round_ is not None][:limit]


if __name__ == "__main__":
    sys.exit(main())
