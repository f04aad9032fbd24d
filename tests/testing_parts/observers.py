"""Observers that are right, and what can go wrong with them."""

import os
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from gentoolkit.api import UsageError
from gentoolkit.observers import Observer


class Silent(Observer):
    def __init__(self, config, directory):
        self.directory = directory


class Best(Silent):
    """Keeps the lowest validation loss in a file."""

    lowest = float("inf")

    def validation(self, step, values):
        if values["loss"] < self.lowest:
            self.lowest = values["loss"]
            (self.directory / "best.txt").write_text(str(self.lowest))


class Diary(Silent):
    """Writes times of day, in a file whose name has one."""

    def started(self, recipe, step):
        self.file = self.directory / f"diary-{time.time_ns()}.txt"

    def step(self, step, values):
        with self.file.open("a") as file:
            file.write(f"{time.time_ns()}: {step}\n")


class Scratch(Silent):
    """Needs a folder for a moment, which is removed through descriptors."""

    def samples(self, file):
        with tempfile.TemporaryDirectory(dir=self.directory) as folder:
            (Path(folder) / "inner").mkdir()
            (Path(folder) / "inner" / "draft.txt").write_text("draft")


class NotInstalled(Silent):
    """Needs an extra."""

    def __init__(self, config, directory):
        raise UsageError("wandb is not installed: pip install parts[wandb]")


class Unprepared(Silent):
    def step(self, step, values):
        values["accuracy"]


class Quits(Silent):
    def failed(self, error):
        raise SystemExit(2)


class OnlyFromStart(Silent):
    """Needs the steps from the first one on."""

    def step(self, step, values):
        self.steps = getattr(self, "steps", 0) + 1
        assert self.steps == step


class Loud(Silent):
    def step(self, step, values):
        print("hello")


class LoudElsewhere(Silent):
    def finished(self, results):
        os.system("echo hello")


class Censor(Silent):
    def validation(self, step, values):
        values["loss_by_t"].clear()


class Gambler(Silent):
    def step(self, step, values):
        random.random()


class TorchGambler(Silent):
    def close(self):
        torch.manual_seed(0)


class NumpyGambler(Silent):
    def started(self, recipe, step):
        np.random.seed(0)  # noqa: NPY002


class Eager(Silent):
    """Opens its file too early."""

    def __init__(self, config, directory):
        (directory / "log.csv").write_text("")


class Elsewhere(Silent):
    def step(self, step, values):
        (Path(self.directory).parent / "latest.txt").write_text(str(step))


class Here(Silent):
    """Writes into the folder in which the command was called."""

    def samples(self, file):
        here = Path("observer-latest.txt")
        here.write_text(str(file))
        here.unlink()


class Tidy(Silent):
    """Makes a folder beside the run and removes it."""

    def close(self):
        beside = self.directory.parent / "scratch"
        beside.mkdir()
        beside.rmdir()


class BestOfAll(Best):
    """Keeps the lowest loss of all runs by mistake."""

    def validation(self, step, values):
        super().validation(step, values)
        BestOfAll.lowest = min(BestOfAll.lowest, self.lowest)


class LowestOfAll(Silent):
    """Writes the lowest loss of all runs by mistake."""

    lowest = float("inf")

    def validation(self, step, values):
        LowestOfAll.lowest = min(values["loss"], self.lowest)
        (self.directory / "best.txt").write_text(str(self.lowest))
