"""Discovery of plugins through entry points. A broken plugin is quarantined; the others still work."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pluggy

from gentoolkit.api import API_VERSION, Component, Hooks
from gentoolkit.distributions import CORE, GROUPS, identity, with_plugins
from gentoolkit.errors import PluginError, joined, last_line, listing, place_in, suggest
from gentoolkit.registry import Entry, Registry, qualified
from gentoolkit.verbs import VERBS
from gentoolkit.waiting import watched_import

if TYPE_CHECKING:
    import click

GROUP = f"{GROUPS}.v{API_VERSION}"
HOOKS = tuple(name for name in vars(Hooks) if name.startswith("gentoolkit_"))


@dataclass(frozen=True)
class Plugin:
    """An entry point that was loaded.

    Attributes:
        name: Name of the entry point.
        distribution: The installed package that declares it, PEP 503-normalized.
        version: Version of that package.
        entries: The plugin's components.
        module: The object that the entry point refers to.
        commands: The commands that the plugin adds.
        hooks: A plugin manager with this plugin only, so that its hooks can be called separately.
    """

    name: str
    distribution: str
    version: str
    entries: tuple[Entry, ...]
    module: Any
    commands: tuple[click.Command, ...]
    hooks: pluggy.PluginManager = field(repr=False, compare=False)


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
    _reported: set[tuple[str, str, str]] = field(default_factory=set, repr=False, compare=False)

    def commands(self) -> list[click.Command]:
        """Return the commands that plugins add."""
        return [command for plugin in self.loaded for command in plugin.commands]

    def notify(self, hook_name: str, **kwargs: Any) -> None:
        """Call an observer hook in every plugin.

        If an observer raises, a RuntimeWarning is issued, once per plugin and hook. The other observers and the run
        continue.
        """
        if hook_name not in HOOKS:
            raise ValueError(joined(f"unknown hook {hook_name!r}", suggest(hook_name, HOOKS)))
        for plugin in self.loaded:
            hook = getattr(plugin.hooks.hook, hook_name)
            if not hook.get_hookimpls():  # the usual case, and there can be many steps
                continue
            try:
                with redirect_stdout(sys.stderr):  # stdout is for results
                    hook(**kwargs)
            except (Exception, SystemExit) as fault:
                self._report(plugin, hook_name, fault)

    def _report(self, plugin: Plugin, hook_name: str, fault: BaseException) -> None:
        key = plugin.distribution, plugin.name, hook_name
        if key in self._reported:
            return
        self._reported.add(key)
        message = f"plugin {plugin.name!r} of {plugin.distribution} raised in {hook_name}: {last_line(fault)}"
        warnings.warn(message, RuntimeWarning, stacklevel=3)


def load_plugins(entry_points: Iterable[EntryPoint] | None = None, *, skip_slow: bool = False) -> Plugins:
    """Import the plugins and collect their components and commands. Errors in a plugin are recorded, not raised.

    A slow import is reported on stderr, and Ctrl-C then skips that plugin; see `gentoolkit.waiting`.

    Args:
        entry_points: The entry points to load; by default those in the group `gentoolkit.plugins.v2` of all installed
            distributions. Entry points in other versions of the group are reported but not imported.
        skip_slow: Skip slow plugins automatically.
    """
    quarantined: list[Quarantined] = []
    found = _installed(quarantined) if entry_points is None else entry_points
    registry, loaded = Registry(), list[Plugin]()
    with redirect_stdout(sys.stderr):  # stdout is for a command's results, not for what plugins print
        for point, distribution, version in _ordered(found):
            try:
                with watched_import(f"plugin {point.name!r} of {distribution}", skip_slow):
                    plugin = _load(point, distribution, version)
                _need_free_verbs(plugin, loaded)
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
    module = point.load()
    manager = _manager()
    manager.register(module, point.name)
    implemented = _hooks(manager, module)
    entries = tuple(
        Entry(qualified(distribution, component.name), component, distribution, version)
        for component in _components(manager)
    )
    if not entries and implemented == {"gentoolkit_components"}:
        raise PluginError("gentoolkit_components returns no components, and no other hook is implemented")
    return Plugin(point.name, distribution, version, entries, module, tuple(_commands(manager)), manager)


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("gentoolkit")
    manager.add_hookspecs(Hooks)
    return manager


def _hooks(manager: pluggy.PluginManager, module: object) -> set[str]:
    """Return the names of the hooks that the plugin implements.

    Raises:
        PluginError: A hook is misspelled or not marked with @hookimpl, or there is none.
    """
    callers = manager.get_hookcallers(module) or []
    implemented = {caller.name for caller in callers}
    if unmarked := [name for name in HOOKS if hasattr(module, name) and name not in implemented]:
        raise PluginError(f"{listing(unmarked)} is not marked with @hookimpl")
    if not implemented:
        raise PluginError("no function is marked with @hookimpl; expected at least gentoolkit_components")
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        name = next(caller.name for caller in callers if not caller.has_spec())
        expected = f"expected {listing(HOOKS)}"
        raise PluginError(joined(f"unknown hook {name!r}", expected, suggest(name, HOOKS))) from error
    return implemented


def _components(manager: pluggy.PluginManager) -> Iterator[Component]:
    for listed in manager.hook.gentoolkit_components():
        for component in listed:
            if not isinstance(component, Component):
                raise PluginError(f"gentoolkit_components yields {component!r}; expected a gentoolkit.api.Component")
            yield component


def _commands(manager: pluggy.PluginManager) -> Iterator[click.Command]:
    for listed in manager.hook.gentoolkit_commands():
        import click  # here, so that using gentoolkit as a library does not import it

        for command in listed:
            if not isinstance(command, click.Command) or not command.name:
                raise PluginError(f"gentoolkit_commands returns {command!r}; expected a click.Command with a name")
            yield command


def _need_free_verbs(plugin: Plugin, loaded: list[Plugin]) -> None:
    owners = dict.fromkeys(VERBS, CORE) | {verb.name: other.distribution for other in loaded for verb in other.commands}
    for verb in plugin.commands:
        if verb.name in owners:
            raise PluginError(f"the command {verb.name!r} already exists in {owners[verb.name]}; rename it")
        owners[verb.name] = plugin.distribution
