"""Discovery of plugins through entry points; a broken one is quarantined and everything else works."""

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

from gentoolkit.api import API_VERSION, Component, DatasetConfig, DataSpec, Hooks
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
    """One entry point that loaded.

    Attributes:
        name: The entry point's name.
        distribution: The installed package that has it, PEP 503-normalized.
        version: That package's version.
        entries: The components that it offers.
        module: What the entry point names.
        commands: The verbs that it adds.
        hooks: A plugin manager that knows this plugin alone, so that it is called by itself.
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
    """One entry point that is left out, with the last line of its traceback and the place in the plugin."""

    name: str
    distribution: str
    version: str
    reason: str


@dataclass(frozen=True)
class Plugins:
    """What `load_plugins` found: components, plugins that loaded, and plugins that are left out."""

    registry: Registry
    loaded: tuple[Plugin, ...]
    quarantined: tuple[Quarantined, ...]
    _reported: set[tuple[str, str, str]] = field(default_factory=set, repr=False, compare=False)

    def commands(self) -> list[click.Command]:
        """Return the verbs that plugins add."""
        return [command for plugin in self.loaded for command in plugin.commands]

    def notify(self, hook_name: str, **kwargs: Any) -> None:
        """Call a run observer in every plugin, each by itself.

        One that raises gets a RuntimeWarning, the first time for each hook, and stops neither the others nor the run.
        """
        if hook_name not in HOOKS:
            raise ValueError(joined(f"unknown hook {hook_name!r}", suggest(hook_name, HOOKS)))
        for plugin in self.loaded:
            hook = getattr(plugin.hooks.hook, hook_name)
            if not hook.get_hookimpls():  # most observe nothing, and steps can be many
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
    """Import the plugins and collect what they offer. Nothing that a plugin does wrong is raised.

    An import that takes long is announced on stderr, and Ctrl-C then skips that plugin; see `gentoolkit.waiting`.

    Args:
        entry_points: What to load; by default the entry points of the group `gentoolkit.plugins.v1` of all installed
            distributions. Those of other versions of the group are reported, never imported.
        skip_slow: Skip a plugin whose import takes long without being asked.
    """
    quarantined: list[Quarantined] = []
    found = _installed(quarantined) if entry_points is None else entry_points
    registry, loaded = Registry(), list[Plugin]()
    with redirect_stdout(sys.stderr):  # a plugin that prints must not spoil what a verb writes to stdout
        for point, distribution, version in _ordered(found):
            try:
                with watched_import(f"plugin {point.name!r} of {distribution}", skip_slow):
                    plugin = _load(point, distribution, version)
                _need_free_verbs(plugin, loaded)
                registry.add(*plugin.entries)
                loaded.append(plugin)
            except KeyboardInterrupt:
                raise
            except BaseException as fault:  # a plugin may even call sys.exit
                reason = last_line(fault) + place_in(re.split(r"[.:]", point.value)[0].strip(), fault)
                quarantined.append(Quarantined(point.name, distribution, version, reason))
    for bad in quarantined:
        registry.add_broken(bad.distribution, f"{bad.name}: {bad.reason}")
    return Plugins(registry, tuple(loaded), tuple(quarantined))


def _installed(quarantined: list[Quarantined]) -> Iterator[EntryPoint]:
    """Yield the entry points of every version of our group."""
    for distribution in with_plugins():
        try:
            yield from (point for point in distribution.entry_points if point.group.startswith(GROUPS))
        except Exception as fault:
            reason = f"its entry_points.txt can't be read: {last_line(fault)}"
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
        raise PluginError(
            f"it is for the plugin API {point.group!r}, this gentoolkit has {GROUP!r}: "
            f"install a version of {distribution} for that"
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
        raise PluginError("gentoolkit_components gives no components, and no other hook is implemented")
    return Plugin(point.name, distribution, version, entries, module, tuple(_commands(manager)), manager)


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("gentoolkit")
    manager.add_hookspecs(Hooks)
    return manager


def _hooks(manager: pluggy.PluginManager, module: object) -> set[str]:
    """Return the names of the hooks that the plugin implements; a misspelt or unmarked one is an error."""
    callers = manager.get_hookcallers(module) or []
    implemented = {caller.name for caller in callers}
    if unmarked := [name for name in HOOKS if hasattr(module, name) and name not in implemented]:
        raise PluginError(f"{listing(unmarked)} is not marked with @hookimpl")
    if not implemented:
        raise PluginError("no function in it is marked with @hookimpl; expected at least gentoolkit_components")
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
                raise PluginError(f"gentoolkit_components gives {component!r}; expected gentoolkit.api.Component")
            if isinstance(component.tiny, DatasetConfig) and not isinstance(spec := component.tiny.spec(), DataSpec):
                raise PluginError(f"component {component.name!r}: tiny.spec() gives {spec!r}; expected a DataSpec")
            yield component


def _commands(manager: pluggy.PluginManager) -> Iterator[click.Command]:
    for listed in manager.hook.gentoolkit_commands():
        import click  # here, so that the toolkit can be used as a library without it being loaded

        for command in listed:
            if not isinstance(command, click.Command) or not command.name:
                raise PluginError(f"gentoolkit_commands gives {command!r}; expected a click.Command with a name")
            yield command


def _need_free_verbs(plugin: Plugin, loaded: list[Plugin]) -> None:
    owners = dict.fromkeys(VERBS, CORE) | {verb.name: other.distribution for other in loaded for verb in other.commands}
    for verb in plugin.commands:
        if verb.name in owners:
            raise PluginError(f"verb {verb.name!r} is taken by {owners[verb.name]}; rename it")
        owners[verb.name] = plugin.distribution
