"""Installed packages that have plugins, found by their metadata alone: no plugin and nothing heavy is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata

CORE = "gentoolkit"
#: The entry-point groups of all versions of the plugin API start with this.
GROUPS = "gentoolkit.plugins"


def canonical(distribution: str) -> str:
    """Return a distribution's name as PEP 503 normalises it: "My_Dist" is "my-dist"."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def identity(distribution: metadata.Distribution | None) -> tuple[str, str]:
    """Return the normalised name and the version, each "unknown" where there is none."""
    try:
        name, version = distribution.metadata["Name"], distribution.version  # type: ignore[union-attr]
    except Exception:  # no distribution, or one with broken metadata
        name, version = None, None
    return canonical(name or "unknown"), version or "unknown"


def with_plugins() -> Iterator[metadata.Distribution]:
    """Yield the distributions with entry points of our groups; the first of a name on sys.path counts."""
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
    """Return whether any distribution but gentoolkit itself has plugins."""
    return any(identity(distribution)[0] != CORE for distribution in with_plugins())
