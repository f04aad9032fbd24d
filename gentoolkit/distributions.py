"""Discovery of installed packages with plugins, from their metadata, without importing them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib import metadata

CORE = "gentoolkit"
#: Prefix of the entry-point groups of all versions of the plugin API.
GROUPS = "gentoolkit.plugins"


def canonical(distribution: str) -> str:
    """Return a distribution's name, normalized according to PEP 503: "My_Dist" becomes "my-dist"."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def identity(distribution: metadata.Distribution | None) -> tuple[str, str]:
    """Return the normalized name and the version; "unknown" for either if it is missing."""
    try:
        name, version = distribution.metadata["Name"], distribution.version  # type: ignore[union-attr]
    except Exception:  # no distribution, or one with broken metadata
        name, version = None, None
    return canonical(name or "unknown"), version or "unknown"


def with_plugins() -> Iterator[metadata.Distribution]:
    """Yield the distributions with entry points in our groups; of several with one name, the first on sys.path."""
    from importlib import metadata

    seen = set()
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
        except (OSError, UnicodeError):
            continue
        if GROUPS not in text:  # skips most distributions, whose metadata is slow to parse
            continue
        name, _ = identity(distribution)
        if name not in seen:
            seen.add(name)
            yield distribution


def has_foreign_plugins() -> bool:
    """Return whether any distribution other than gentoolkit may have plugins.

    Reads pip's metadata folders directly: importing importlib.metadata takes a third of the time of `gentool --help`.
    """
    for folder in map(os.path.abspath, sys.path):
        try:
            names = [name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info"))]  # noqa: PTH208
        except FileNotFoundError:
            continue
        except OSError:  # an archive, which only importlib.metadata can read
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
