"""Checks whether each component gets what it needs of the others, as their configs declare (`offers` and `needs`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gentoolkit.configs import Config, Need, Role
from gentoolkit.errors import PluginError, joined, listing
from gentoolkit.recipe.faults import Fault
from gentoolkit.recipe.model import components_of
from gentoolkit.recipe.reader import Node
from gentoolkit.recipe.validation import as_written, follow
from gentoolkit.registry import Registry, entry_of
from gentoolkit.spec import DataSpec, Labels

#: What to do about a missing capability, where no other component would help.
CURES = {("data", "null_condition"): "set train.condition_dropout above 0, such as 0.1"}
WORDS = {"null_condition": "dropped conditions", "condition": "conditions"}


def check_needs(root: Node, sections: Mapping[str, Any], spec: DataSpec, registry: Registry) -> Iterator[Fault]:
    """Yield a fault for each need that is not met. Needs of roles whose section is invalid are not checked."""
    try:
        offered = _offered(sections, spec)
        for path, config in components_of(sections):
            needs = [need for need in _asked(config, "needs") if isinstance(need, Need)]
            missing = [need for need in needs if need.capability not in offered.get(need.role, {need.capability})]
            for need in missing[:1]:  # others often follow from the first
                at = (*path, *(need.field.split(".") if need.field else ()))
                offers = _offers_text(need.role, sections, offered[need.role])
                wrong = f"{entry_of(config).kind} {entry_of(config).name} needs {_words(need)}; {offers}"
                message = joined(wrong, _cure(need, sections, registry))
                yield Fault(follow(root, (), at)[0].place, as_written(root, at), message)
    except PluginError as error:
        yield Fault(root.place, (), str(error))


def _asked(config: Config, method: str) -> list[Any]:
    """Return what a config's method returns, as a list.

    Raises:
        PluginError: It raises an exception.
    """
    try:
        return list(getattr(config, method)())
    except Exception as error:  # a plugin's code may raise anything
        raise PluginError(raised(config, method, error)) from error


def raised(config: Config, method: str, error: Exception) -> str:
    """Return the message for an exception that a config's method raised."""
    entry = entry_of(config)
    return f"{method}() of {entry.name!r} raised {type(error).__name__}: {error}; this is a bug in {entry.distribution}"


def _offered(sections: Mapping[str, Any], spec: DataSpec) -> dict[Role, set[str]]:
    """Return the capabilities of each role whose sections are valid."""
    offered: dict[Role, set[str]] = {}
    for role in ("source", "backbone", "objective", "sampler"):
        if isinstance(config := sections.get(role), Config):
            offered[role] = set(_asked(config, "offers"))
    offered["data"] = {*_asked(sections["dataset"], "offers"), *_conditions(spec)}
    if "objective" in offered and "guidance" in sections:
        kept = (set(_asked(guidance, "keeps")) for guidance in sections["guidance"])
        offered["field"] = offered["objective"].intersection(*kept)
    return offered


def _conditions(spec: DataSpec) -> Iterator[str]:
    if spec.condition is not None:
        yield "condition"
        yield "labels" if isinstance(spec.condition, Labels) else "array"
        if spec.condition.droppable:
            yield "null_condition"


def _words(need: Need) -> str:
    return f"{WORDS.get(need.capability, need.capability)} of the {need.role}"


def _offers_text(role: Role, sections: Mapping[str, Any], offered: set[str]) -> str:
    """Say what the components of a role offer."""
    if role == "field":
        objective = sections["objective"]
        parts = [f"objective {entry_of(objective).name} offers {_listed(objective.offers())}"]
        parts += [f"guidance {entry_of(g).name} keeps {_listed(g.keeps())}" for g in sections["guidance"]]
        return "; ".join(parts)
    section = sections["dataset" if role == "data" else role]
    return f"{entry_of(section).kind} {entry_of(section).name} offers {_listed(offered)}"


def _listed(capabilities: Any) -> str:
    return ", ".join(sorted(WORDS.get(name, name) for name in capabilities)) or "nothing"


def _cure(need: Need, sections: Mapping[str, Any], registry: Registry) -> str:
    """Return how to meet a need: another setting, or the installed components that offer it."""
    if cure := CURES.get((need.role, need.capability)):
        return cure
    kind = {"data": "dataset", "field": "objective"}.get(need.role, need.role)
    names = []
    for entry in registry.entries(kind):
        try:
            config = registry.resolve(kind, {"type": entry.name, **entry.component.tiny})
            names += [entry.name] if need.capability in config.offers() else []
        except Exception:
            continue
    if need.role == "field" and sections["objective"] and need.capability in sections["objective"].offers():
        return ""  # a guidance is in the way
    return f"{_a(kind)} that offers it: {listing(names)}" if names else f"no installed {kind} offers it"


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
