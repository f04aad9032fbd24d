"""Discovery of installed packages with plugins, from their metadata, without importing them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from importlib import metadata

CORE = "gentoolkit"
#: Prefix of the entry-point groups of all versions of the plugin API.
GROUPS = "gentoolkit.plugins"


def canonical(distribution: str) -> str:
    """Return a distribution's name, normalized according to PEP 503: "My_Dist" becomes "my-dist"."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@cache  # reading the metadata takes longer than importing a plugin
def identity(distribution: metadata.Distribution | None) -> tuple[str, str]:
    """Return the normalized name and the version; "unknown" for either if it is missing."""
    try:
        fields = distribution.metadata  # type: ignore[union-attr]
        name, version = fields["Name"], fields["Version"]
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


class Point(NamedTuple):
    """An entry point of an installed package; the distribution's name is normalized."""

    distribution: str
    version: str
    group: str
    name: str
    value: str


def entry_points(prefix: str) -> Iterator[Point]:
    """Yield the entry points in groups that begin with `prefix`; of several distributions with one name, the first's.

    Reads pip's metadata folders directly: importing importlib.metadata takes a third of the time of `gentool --help`.
    What can't be read or parsed is left out.
    """
    seen = set[str]()
    for folder in map(os.path.abspath, sys.path):
        for name, version, text in _described(folder):
            if name not in seen and prefix in text:
                yield from (Point(name, version, *point) for point in _parsed(text) if point[0].startswith(prefix))
            seen.add(name)


def _described(folder: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, version and entry_points.txt of each distribution in a folder of sys.path."""
    try:
        infos = sorted(name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info")))  # noqa: PTH208
    except FileNotFoundError:
        return
    except OSError:  # an archive, which only importlib.metadata can read
        from importlib import metadata

        for distribution in metadata.distributions(path=[folder]):
            yield *identity(distribution), distribution.read_text("entry_points.txt") or ""
        return
    for info in infos:
        if match := re.fullmatch(r"(.+?)(?:-([^-]+))?(?:-py[^-]+)?\.(?:dist|egg)-info", info):
            yield canonical(match[1]), match[2] or "unknown", _text(f"{folder}/{info}/entry_points.txt")


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _parsed(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield group, name and value of each entry point, without the extras that may follow a value in brackets."""
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif "=" in line and line[0] not in "#;":
            name, _, value = line.partition("=")
            yield group, name.strip(), value.partition("[")[0].strip()
