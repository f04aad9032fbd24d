"""Overrides from the command line, such as `train.epochs=5`. Values are read as YAML, like those in the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gentoolkit.recipe.faults import Fault, Path, Place, dotted, shown
from gentoolkit.recipe.reader import MAX_DEPTH, Node, read

EXAMPLE = "path=value, such as train.epochs=5"


@dataclass(frozen=True)
class Override:
    """A new value for a path."""

    path: Path
    node: Node


def parse_overrides(texts: Sequence[str], faults: list[Fault]) -> list[Override]:
    """Return the readable overrides, and add what is wrong with the others to `faults`."""
    parsed = (_parse(text, number, faults) for number, text in enumerate(texts, start=1))
    return [override for override in parsed if override]


def apply(root: Node, override: Override, faults: list[Fault]) -> Node:
    """Return the tree with the override applied. It may add fields to mappings, but not items to lists.

    A text below which a field is set is the name of a component: `sampler: euler` becomes `{type: euler, ...}`. A new
    `type` replaces the whole component, since the fields belong to the old one.
    """
    return _put(root, override.path, (), override.node, faults)


def _parse(text: str, number: int, faults: list[Fault]) -> Override | None:
    left, equals, right = text.partition("=")
    path = tuple(part.strip() for part in left.split("."))
    source = f"override {text!r}"
    place = Place(number, 0, 0, source)
    if not equals or not all(path):
        faults.append(Fault(place, (), "not an override", EXAMPLE))
        return None
    if len(path) > MAX_DEPTH:
        faults.append(Fault(place, (), f"nested more than {MAX_DEPTH} levels deep"))
        return None
    found: list[Fault] = []
    node = read(right, source, found, number)
    faults.extend(replace(fault, place=place, path=path + fault.path) for fault in found)
    if node is None and not found:
        faults.append(Fault(place, path, "no value", EXAMPLE, f"to set null, write {dotted(path)}=null"))
    return Override(path, _at(place, node)) if node else None


def _at(place: Place, node: Node) -> Node:
    """Return the node with a single position, since columns within a command-line argument are of no use."""
    value = node.value
    if isinstance(value, dict):
        children = {key: _at(place, child) for key, child in value.items()}
        return Node(place, children, dict.fromkeys(children, place))
    return Node(place, tuple(_at(place, child) for child in value) if isinstance(value, tuple) else value)


def _put(node: Node, path: Path, above: Path, new: Node, faults: list[Fault]) -> Node:
    if not path:
        return new
    key, rest = path[0], path[1:]
    if isinstance(node.value, str) and above:
        node = Node(new.place, {"type": node}, {"type": node.place})
    if isinstance(node.value, dict):
        old = node.value.get(key) or Node(new.place, {})
        place = node.keys.get(key, new.place) if rest else new.place
        changed = _put(old, rest, (*above, key), new, faults)
        if key == "type" and not rest and key in node.value and old.value != changed.value:
            return Node(node.place, {key: changed}, {key: place})
        return replace(node, value={**node.value, key: changed}, keys={**node.keys, key: place})
    if item := node.child(key):
        items = list(node.children)
        items[int(key)] = _put(item, rest, (*above, key), new, faults)
        return replace(node, value=tuple(items))
    if isinstance(node.value, tuple):
        count = len(node.value)
        expected = f"an index from 0 to {count - 1}" if count else f"{dotted(above)}=[...], as the list is empty"
        faults.append(Fault(new.place, (*above, key), "no such item", expected))
    else:
        wrong = f"{dotted(above) or 'the recipe'} is {shown(node.value)}, not a mapping"
        faults.append(Fault(new.place, (*above, key), wrong))
    return node
