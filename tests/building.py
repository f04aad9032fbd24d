"""Components of the installed plugins, built as a run builds them."""

from functools import cache

from gentoolkit.plugins import load_plugins
from gentoolkit.registry import build


@cache
def registry():
    return load_plugins().registry


def config(kind, name, **fields):
    return registry().resolve(kind, {"type": name, **fields})


def built(kind, name, given=None, **fields):
    return build(config(kind, name, **fields), **(given or {}))
