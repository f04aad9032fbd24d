"""Installed packages that have plugins, found by their metadata alone: no plugin and nothing heavy is imported."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib import metadata

CORE = "gentoolkit"
#: The entry-point groups of all versions of the plugin API start with this.
GROUPS = "gentoolkit.plugins"


def canonical(distribution: str) -> str:
    """Return a distribution's name as PEP 503 normalizes it: "My_Dist" is "my-dist"."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def identity(distribution: metadata.Distribution | None) -> tuple[str, str]:
    """Return the normalized name and the version, each "unknown" where there is none."""
    try:
        name, version = distribution.metadata["Name"], distribution.version  # type: ignore[union-attr]
    except Exception:  # no distribution, or one with broken metadata
        name, version = None, None
    return canonical(name or "unknown"), version or "unknown"


def with_plugins() -> Iterator[metadata.Distribution]:
    """Yield the distributions with entry points of our groups; the first of a name on sys.path counts."""
    from importlib import metadata

    seen = set()
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
        except (OSError, UnicodeError):
            continue
        if GROUPS not in text:  # spares us most distributions, whose metadata is slow to parse
            continue
        name, _ = identity(distribution)
        if name not in seen:
            seen.add(name)
            yield distribution


def has_foreign_plugins() -> bool:
    """Return whether any distribution but gentoolkit itself may have plugins.

    Read from the folders that pip leaves: importing importlib.metadata takes a third of the time of `gentool --help`.
    """
    for folder in map(os.path.abspath, sys.path):
        try:
            names = [name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info"))]  # noqa: PTH208
        except FileNotFoundError:
            continue
        except OSError:  # an archive; only importlib.metadata can tell
            return True
        if any(_has_plugins(f"{folder}/{name}") for name in names if canonical(name.split("-")[0]) != CORE):
            return True
    return False


def _has_plugins(info: str) -> bool:
    try:
        with open(f"{info}/entry_points.txt", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return GROUPS in file.read()
    except OSError:
        return False
