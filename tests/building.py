"""Components of the installed plugins, built as a run builds them."""

import json
from functools import cache
from pathlib import Path

from gentoolkit.configs import completed
from gentoolkit.plugins import load_plugins
from gentoolkit.registry import build
from gentoolkit.settings import TrainSettings


@cache
def registry():
    return load_plugins().registry


def config(kind, name, **fields):
    return registry().resolve(kind, {"type": name, **fields})


def built(kind, name, given=None, **fields):
    return build(config(kind, name, **fields), **(given or {}))


def train_settings(**fields):
    """Return the section `train` of a recipe, from its recipe data."""
    return TrainSettings.model_validate_json(json.dumps(completed(TrainSettings, fields)), context=registry())


def own_data(recipe):
    """Return overrides that give a recipe for a user's data some data."""
    return ["dataset.folder=plugins/gentoolkit_images/tiny"] if Path(recipe).stem == "your_images" else []
