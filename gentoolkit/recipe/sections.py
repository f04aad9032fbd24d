"""Build a recipe from its tree: validate each section, then check that they fit together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from gentoolkit.errors import UnknownComponentError
from gentoolkit.recipe.checks import check_fit
from gentoolkit.recipe.faults import Fault, Path, one_of, shown
from gentoolkit.recipe.model import PARTS, Header, Part, Recipe
from gentoolkit.recipe.reader import Node
from gentoolkit.recipe.validation import unknown_field, validated
from gentoolkit.registry import Entry, Registry
from gentoolkit.settings import EvaluateSettings, SampleSettings, Strict, TrainSettings

FIELDS = (*Header.model_fields, *PARTS, "metrics", "train", "sample", "evaluate")
OUTLINE = f"a mapping with {', '.join(FIELDS)}"

Settings = TypeVar("Settings", bound=Strict)


def recipe_from(root: Node, registry: Registry, faults: list[Fault]) -> Recipe | None:
    """Return the recipe, or None after adding all errors to `faults`."""
    if not isinstance(root.value, dict):
        faults.append(Fault(root.place, (), f"got {shown(root.value)}", OUTLINE))
        return None
    return _Sections(root, registry, faults).recipe()


class _Sections:
    """One pass over the tree. Methods add errors to `faults` and continue."""

    def __init__(self, root: Node, registry: Registry, faults: list[Fault]) -> None:
        self.root, self.registry, self.faults = root, registry, faults

    def recipe(self) -> Recipe | None:
        unknown = [key for key in self.root.keys if key not in FIELDS]
        self.faults += [unknown_field(self.root.keys[key], (key,), FIELDS) for key in unknown]
        header = validated(Header, _only(self.root, Header.model_fields.__contains__), (), self.faults)
        parts = self.parts()
        train = self.settings("train", TrainSettings)
        sample = self.settings("sample", SampleSettings)
        evaluate = self.settings("evaluate", EvaluateSettings)
        self.faults += check_fit(self.root, parts, train, sample)
        if self.faults or not (header and train and sample and evaluate):
            return None
        named: dict[str, Any] = {kind: parts[kind,] for kind in PARTS}
        metrics = tuple(part for path, part in parts.items() if path[0] == "metrics")
        return Recipe(**dict(header), **named, metrics=metrics, train=train, sample=sample, evaluate=evaluate)

    def parts(self) -> dict[Path, Part]:
        """Return the valid components by path, e.g. ("metrics", "0")."""
        sections: list[tuple[Path, str, Node]] = []
        for kind in PARTS:
            if node := self.root.child(kind):
                sections.append(((kind,), kind, node))
            else:
                self.fault(self.root, (kind,), "missing", self.example(kind))
        if listed := self.root.child("metrics"):
            if isinstance(listed.value, tuple):
                sections += [(("metrics", str(i)), "metric", item) for i, item in enumerate(listed.value)]
            else:
                self.fault(
                    listed, ("metrics",), f"got {shown(listed.value)}", "a list of mappings, or [] for no metrics"
                )
        parts = {path: self.part(path, kind, node) for path, kind, node in sections}
        return {path: part for path, part in parts.items() if part}

    def part(self, path: Path, kind: str, node: Node) -> Part | None:
        if not isinstance(node.value, dict):
            self.fault(node, path, f"got {shown(node.value)}", self.example(kind))
            return None
        entry = self.entry((*path, "type"), kind, node, node.child("type"))
        config = entry and validated(entry.config, _only(node, lambda key: key != "type"), path, self.faults)
        return Part(entry, config) if entry and config else None

    def entry(self, path: Path, kind: str, node: Node, named: Node | None) -> Entry | None:
        if named is None:
            self.fault(node, path, "missing", one_of(self.registry.names(kind)))
        elif not isinstance(named.value, str):
            self.fault(named, path, f"got {shown(named.value)}", one_of(self.registry.names(kind)))
        else:
            try:
                return self.registry.get(kind, named.value)
            except UnknownComponentError as error:
                self.fault(named, path, str(error))
        return None

    def settings(self, name: str, model: type[Settings]) -> Settings | None:
        node = self.root.child(name)
        if node is None and name == "train":
            self.fault(self.root, (name,), "missing", "a mapping such as {epochs: 50}")
            return None
        return validated(model, node or Node(self.root.place, {}), (name,), self.faults)

    def example(self, kind: str) -> str:
        names = self.registry.names(kind)
        return f"a mapping such as {{type: {names[0] if names else '...'}}}, with a type that is {one_of(names)}"

    def fault(self, node: Node, path: Path, wrong: str, expected: str = "") -> None:
        self.faults.append(Fault(node.place, path, wrong, expected))


def _only(node: Node, wanted: Callable[[str], bool]) -> Node:
    """Return a mapping restricted to the wanted fields."""
    assert isinstance(node.value, dict)
    return replace(node, value={key: child for key, child in node.value.items() if wanted(key)})
