"""Discovery of plugins through entry points. A broken plugin is quarantined; the others still work."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pluggy

from gentoolkit.api import API_VERSION, Component, Hooks
from gentoolkit.distributions import CORE, GROUPS, identity, with_plugins
from gentoolkit.errors import PluginError, joined, last_line, place_in, suggest
from gentoolkit.registry import Entry, Registry, qualified
from gentoolkit.waiting import watched_import

GROUP = f"{GROUPS}.v{API_VERSION}"
HOOK = Hooks.gentoolkit_components.__name__


@dataclass(frozen=True)
class Plugin:
    """An entry point that was loaded.

    Attributes:
        name: Name of the entry point.
        distribution: The installed package that declares it, PEP 503-normalized.
        version: Version of that package.
        entries: The plugin's components.
    """

    name: str
    distribution: str
    version: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Quarantined:
    """An entry point that could not be loaded, with the last line of its traceback and the place in the plugin."""

    name: str
    distribution: str
    version: str
    reason: str


@dataclass(frozen=True)
class Plugins:
    """The result of `load_plugins`: all components, the plugins that were loaded, and those that could not be."""

    registry: Registry
    loaded: tuple[Plugin, ...]
    quarantined: tuple[Quarantined, ...]


def load_plugins(entry_points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Import the plugins and collect their components. Errors in a plugin are recorded, not raised.

    A slow import is reported on stderr, and Ctrl-C then skips that plugin; see `gentoolkit.waiting`.

    Args:
        entry_points: The entry points to load; by default those in the group `gentoolkit.plugins.v2` of all installed
            distributions. Entry points in other versions of the group are reported but not imported.
    """
    quarantined: list[Quarantined] = []
    found = _installed(quarantined) if entry_points is None else entry_points
    registry, loaded = Registry(), list[Plugin]()
    with redirect_stdout(sys.stderr):  # stdout is for a command's results, not for what plugins print
        for point, distribution, version in _ordered(found):
            try:
                with watched_import(f"plugin {point.name!r} of {distribution}"):
                    plugin = _load(point, distribution, version)
                registry.add(*plugin.entries)
                loaded.append(plugin)
            except KeyboardInterrupt:
                raise
            except BaseException as fault:  # including SystemExit
                reason = last_line(fault) + place_in(re.split(r"[.:]", point.value)[0].strip(), fault)
                quarantined.append(Quarantined(point.name, distribution, version, reason))
    for bad in quarantined:
        registry.add_broken(bad.distribution, f"{bad.name}: {bad.reason}")
    return Plugins(registry, tuple(loaded), tuple(quarantined))


def _installed(quarantined: list[Quarantined]) -> Iterator[EntryPoint]:
    """Yield the entry points in every version of our group."""
    for distribution in with_plugins():
        try:
            yield from (point for point in distribution.entry_points if point.group.startswith(GROUPS))
        except Exception as fault:
            reason = f"cannot read entry_points.txt: {last_line(fault)}"
            quarantined.append(Quarantined("entry_points.txt", *identity(distribution), reason))


def _ordered(points: Iterable[EntryPoint]) -> list[tuple[EntryPoint, str, str]]:
    """Return each entry point once, with its distribution's name and version; ours first, the rest by name."""
    found: dict[tuple[bool, str, str, str, str], tuple[EntryPoint, str, str]] = {}
    for point in points:
        name, version = identity(point.dist)
        found.setdefault((name != CORE, name, point.group, point.name, point.value), (point, name, version))
    return [found[key] for key in sorted(found)]


def _load(point: EntryPoint, distribution: str, version: str) -> Plugin:
    if point.group != GROUP:
        cure = "run pip install again" if distribution == CORE else f"install a version of {distribution} that uses it"
        raise PluginError(
            f"the plugin uses the API {point.group!r}, but this version of gentoolkit supports {GROUP!r}; {cure}"
        )
    manager = pluggy.PluginManager("gentoolkit")
    manager.add_hookspecs(Hooks)
    module = point.load()
    manager.register(module, point.name)
    _need_hook(manager, module)
    entries = tuple(
        Entry(qualified(distribution, component.name), component, distribution, version)
        for component in _components(manager)
    )
    if not entries:
        raise PluginError(f"{HOOK} returns no components")
    return Plugin(point.name, distribution, version, entries)


def _need_hook(manager: pluggy.PluginManager, module: object) -> None:
    """Raise PluginError unless the plugin implements the hook, and nothing else."""
    callers = manager.get_hookcallers(module) or []
    if hasattr(module, HOOK) and HOOK not in {caller.name for caller in callers}:
        raise PluginError(f"{HOOK} is not marked with @hookimpl")
    if unknown := [caller.name for caller in callers if not caller.has_spec()]:
        raise PluginError(joined(f"unknown hook {unknown[0]!r}", f"expected {HOOK!r}", suggest(unknown[0], [HOOK])))
    if not callers:
        raise PluginError(f"no function is marked with @hookimpl; expected {HOOK}")


def _components(manager: pluggy.PluginManager) -> Iterator[Component]:
    for listed in manager.hook.gentoolkit_components():
        for component in listed:
            if not isinstance(component, Component):
                raise PluginError(f"gentoolkit_components yields {component!r}; expected a gentoolkit.api.Component")
            yield component
