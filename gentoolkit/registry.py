"""Registry of all components that recipes can use, by kind and name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from pkgutil import resolve_name
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from gentoolkit.api import Component
from gentoolkit.configs import Config, completed, slots_of
from gentoolkit.distributions import CORE, canonical
from gentoolkit.errors import PluginError, UnknownComponentError, joined, listing, suggest
from gentoolkit.kinds import KINDS

#: Number of levels of slots in slots; more mean that a default contains itself.
MAX_DEPTH = 16


def qualified(distribution: str, component: str) -> str:
    """Return a component's name in recipes: "dit" for gentoolkit's own, "my-dist/heun" for other distributions."""
    return component if canonical(distribution) == CORE else f"{canonical(distribution)}/{component}"


@dataclass(frozen=True)
class Entry:
    """A component and its origin.

    Attributes:
        name: The name in recipes; see `qualified`.
        component: The plugin's declaration.
        distribution: The installed package that provides it, PEP 503-normalized.
        version: Version of that package.
        built: Types of the objects that `build` has returned, to attribute a traceback to the component.
    """

    name: str
    component: Component
    distribution: str
    version: str
    built: set[type] = field(default_factory=set, repr=False, compare=False)

    @property
    def kind(self) -> str:
        """Return the name of the kind, e.g. "sampler"."""
        return self.component.kind

    @property
    def config(self) -> type[Config]:
        """Return the config class."""
        return self.component.config

    @property
    def title(self) -> str:
        """Return the kind, the name and the package, for messages."""
        return f"{self.kind} {self.name!r} of {self.distribution} {self.version}"

    @property
    def package(self) -> str:
        """Return the top-level package of the factory."""
        return self.component.factory.partition(":")[0].partition(".")[0]

    def build(self, *args: Any, **inner: Any) -> Any:
        """Import the factory and call it. Exceptions of the call, such as UsageError, are propagated.

        Args:
            *args: The config, and the arguments of the kind.
            **inner: The components in the config's slots.

        Raises:
            PluginError: The factory can't be imported or called, or it returns None.
        """
        factory = self.component.factory
        try:
            function = resolve_name(factory)
        except (Exception, SystemExit) as fault:
            raise PluginError(
                f"{self.title}: factory {factory!r} can't be imported: {type(fault).__name__}: {fault}"
            ) from fault
        if not callable(function):
            raise PluginError(f"{self.title}: factory {factory!r} is a {type(function).__name__}, not a callable")
        made = function(*args, **inner)
        if made is None:
            raise PluginError(f"{self.title}: factory {factory!r} returned None instead of a {self.kind}")
        self.built.add(type(made))
        return made


def entry_of(config: Config) -> Entry:
    """Return the registry's entry of a config from a recipe.

    Raises:
        PluginError: The config was not made by a registry.
    """
    if config._entry is None:
        raise PluginError(f"{type(config).__name__} was not made by a registry, so its component is not known")
    return config._entry


def build(config: Config, inside: Callable[[Config, Callable[[], Any]], Any] | None = None, **given: Any) -> Any:
    """Build the component of a config from a recipe, and first those in its slots.

    Args:
        config: The config.
        inside: Returns the component for a slot, given its config and a function that builds it.
        **given: The arguments of the kinds: `spec`, `needs`, `split`, `seed`, `train`, `parameters`, `directory`.
    """

    def built(value: Any) -> Any:
        if isinstance(value, Config):
            make = partial(build, value, inside, **given)
            if KINDS[value.kind].deferred:
                return make
            return inside(value, make) if inside else make()
        if isinstance(value, tuple | list):
            return tuple(map(built, value))
        return {key: built(item) for key, item in value.items()} if isinstance(value, dict) else value

    entry = entry_of(config)
    inner = {name: built(getattr(config, name)) for name in slots_of(type(config))}
    return entry.build(config, *(given[name] for name in KINDS[entry.kind].arguments), **inner)


class Registry:
    """All components of the installed plugins, and the errors of plugins that could not be loaded."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self._broken: dict[str, list[str]] = {}

    def resolve(self, kind: str, data: object) -> Config:
        """Return the config that recipe data describes, with those in its slots.

        Args:
            kind: The kind of the component.
            data: Its name, or a mapping with `type` and the fields that differ from their defaults.

        Raises:
            pydantic.ValidationError: The data is invalid.
        """
        return _Resolver(self).resolve(kind, data)

    def add(self, *entries: Entry) -> None:
        """Add entries: all of them, or none if this raises.

        Raises:
            PluginError: A component of the same kind and name exists.
        """
        new: dict[tuple[str, str], Entry] = {}
        for entry in entries:
            key = entry.kind, entry.name
            if other := new.get(key) or self._entries.get(key):
                raise PluginError(
                    f"{entry.kind} {entry.name!r} is declared twice: as {other.component.factory} "
                    f"and as {entry.component.factory}; rename one"
                )
            new[key] = entry
        self._entries.update(new)

    def add_broken(self, distribution: str, fault: str) -> None:
        """Record why a plugin of a distribution could not be loaded, for the messages of `get`."""
        self._broken.setdefault(canonical(distribution), []).append(fault)

    def get(self, kind: str, name: str) -> Entry:
        """Return the component of that kind and name.

        Raises:
            UnknownComponentError: There is none. The message suggests similar names and what to install.
        """
        try:
            return self._entries[kind, name]
        except KeyError:
            raise UnknownComponentError(self._explain(kind, name)) from None

    def entries(self, kind: str | None = None) -> tuple[Entry, ...]:
        """Return the entries of a kind, or of all kinds, sorted by kind and name."""
        return tuple(self._entries[key] for key in sorted(self._entries) if kind in (None, key[0]))

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of a kind, sorted."""
        return tuple(entry.name for entry in self.entries(kind))

    def example(self, kind: str) -> str:
        """Return what a slot for a kind may contain, for messages."""
        names = self.names(kind)
        return (
            f"a mapping such as {{type: {names[0] if names else '...'}}}, with a type that is one of {listing(names)}"
        )

    def _explain(self, kind: str, name: str) -> str:
        names = self.names(kind)
        same = [choice for choice in names if choice.rpartition("/")[2] == name.rpartition("/")[2]]
        near = f"did you mean {same[0]!r}?" if same else suggest(name.lower(), names)
        others = " and a ".join(entry.kind for entry in self.entries() if entry.name == name)
        another = f"{name!r} is a {others}" if others else ""
        wrong = f"no {kind} {name!r} is installed"
        return joined(wrong, another, *self._cures(name), f"expected one of {listing(names)}", near)

    def _cures(self, name: str) -> list[str]:
        distribution = canonical(name.rpartition("/")[0]) or CORE
        if distribution in self._broken:
            return [f"a plugin of {distribution} is broken: {fault}" for fault in self._broken[distribution]]
        is_name = re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", distribution)
        if is_name and not any(metadata.distributions(name=distribution)):
            return [f"{distribution!r} is not installed: pip install {distribution}"]
        return []


@dataclass(frozen=True)
class _Resolver:
    """Resolves slots at some depth; see `gentoolkit.configs.Resolver`."""

    registry: Registry
    depth: int = 0

    def resolve(self, kind: str, data: object) -> Config:
        if self.depth > MAX_DEPTH:
            message = f"slots are nested more than {MAX_DEPTH} deep; does the default of a slot contain itself?"
            raise PydanticCustomError("too_deep", message)
        fields = {"type": data} if isinstance(data, str) else data
        if not isinstance(fields, dict):
            raise PydanticCustomError("no_component", "{expected}", {"expected": self.registry.example(kind)})
        name = fields.get("type")
        if not isinstance(name, str):
            expected = f"one of {listing(self.registry.names(kind))}"
            raise PydanticCustomError("no_type", "{expected}", {"expected": expected})
        try:
            entry = self.registry.get(kind, name)
        except UnknownComponentError as error:
            raise PydanticCustomError("unknown_component", "{message}", {"message": str(error)}) from None
        given = completed(entry.config, {key: value for key, value in fields.items() if key != "type"})
        text = json.dumps(given)
        try:
            config = entry.config.model_validate_json(text, context=replace(self, depth=self.depth + 1))
        except ValidationError:
            raise
        except Exception as error:  # a plugin's validator may raise anything
            message = f"{entry.config.__name__} raised {type(error).__name__}: {error}"
            raise PydanticCustomError("raised", "{message}", {"message": message}) from error
        config._entry = entry
        return config
