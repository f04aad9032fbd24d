"""An observer: keeps the lowest validation loss of a run in a file."""

import json

from gentoolkit.api import Component, ObserverConfig, hookimpl
from gentoolkit.observers import Observer


class BestConfig(ObserverConfig):
    """Writes the lowest validation loss and its step."""

    file: str = "best.json"
    """Name of the file in the run's directory."""


class Best(Observer):
    def __init__(self, config, directory):
        self.file, self.lowest = directory / config.file, float("inf")

    def started(self, recipe, step):
        if step and self.file.is_file():  # resumed: steps after `step` are repeated, with the same losses
            self.lowest = json.loads(self.file.read_text())["loss"]

    def validation(self, step, values):
        if values["loss"] < self.lowest:
            self.lowest = values["loss"]
            self.file.write_text(json.dumps({"loss": self.lowest, "step": step}))


@hookimpl
def gentoolkit_components():
    yield Component("best", BestConfig, f"{__name__}:Best")
