"""Checks across sections: whether the parts of a recipe fit together."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gentoolkit.configs import Config, instances_in, to_data
from gentoolkit.datafiles import DataPath
from gentoolkit.errors import UsageError
from gentoolkit.recipe.capabilities import check_needs, raised
from gentoolkit.recipe.faults import Fault, Path
from gentoolkit.recipe.model import Recipe, components_of, data_spec, encoded_spec
from gentoolkit.recipe.reader import Node
from gentoolkit.recipe.validation import as_written, follow
from gentoolkit.registry import Registry
from gentoolkit.settings import SampleSettings, TrainSettings
from gentoolkit.spec import DataSpec, Labels

#: The sections whose components see the data itself; the others see it encoded.
OF_DATA = ("dataset", "codec", "metrics")


def place_paths(root: Node, sections: dict[str, Any], folder: pathlib.Path) -> list[Fault]:
    """Let paths of data start at `folder`, those of overrides at the current folder, and return which don't exist.

    Sections with such a fault are removed from `sections`, because they can't be checked further.
    """
    faults = []
    for path, data in list(instances_in(sections, DataPath)):
        node, _ = follow(root, (), path)
        if node.value == data.given:  # otherwise a default
            data.place(pathlib.Path() if node.place.override else folder)
        if problem := data.problem():
            faults.append(_fault(root, path, problem))
            sections.pop(path[0], None)
    return faults


def check_fit(root: Node, sections: Mapping[str, Any], registry: Registry) -> list[Fault]:
    """Return the inconsistencies between the valid sections of a recipe. The others are not checked."""
    faults = [fault for name in ("metrics", "observers") for fault in _duplicates(root, name, sections.get(name, ()))]
    train, sample = sections.get("train"), sections.get("sample")
    if train and train.steps is not None:
        faults += _problems(root, ("train", "schedule"), train.schedule, "check_length", train.steps)
    if dataset := sections.get("dataset"):
        try:
            spec = data_spec(dataset, train)
        except Exception as error:  # a plugin's code may raise anything
            own = "; ".join(map(str.strip, str(error).splitlines())) if isinstance(error, UsageError) else ""
            wrong = own or raised(dataset, "spec", error)
            return [*faults, _fault(root, ("dataset",), wrong)]
        faults += _check_components(root, sections, spec)
        faults += _check_conditions(root, spec, train, sample)
        faults += _check_pairs(root, spec, sections)
        faults += check_needs(root, sections, spec, registry)
    return faults


def _check_components(root: Node, sections: Mapping[str, Any], spec: DataSpec) -> list[Fault]:
    """Check every component against the data or the encoded data. A faulty codec leaves the latter unknown."""

    def check(of_data: bool, spec: DataSpec) -> list[Fault]:
        checked = [(path, config) for path, config in components_of(sections) if (path[0] in OF_DATA) == of_data]
        return [fault for path, config in checked for fault in _problems(root, path, config, "check", spec)]

    faults = check(True, spec)
    if "codec" not in sections or any(fault.path[0] == "codec" for fault in faults):
        return faults
    try:
        encoded = encoded_spec(sections["codec"], spec)
    except Exception as error:  # a plugin's code may raise anything
        return [*faults, _fault(root, ("codec",), raised(sections["codec"], "spec", error))]
    return faults + check(False, encoded)


def _duplicates(root: Node, name: str, configs: Sequence[Config]) -> Iterator[Fault]:
    for index, config in enumerate(configs):
        if config in configs[:index]:
            same = f"{name}.{configs.index(config)}"
            expected = "a different config; otherwise remove it"
            yield _fault(root, (name, str(index)), f"duplicate of {same}", expected)


def _problems(root: Node, path: Path, config: Config, method: str, argument: object) -> list[Fault]:
    """Return the problems that a method of a config finds."""
    try:
        problems = list(getattr(config, method)(argument))
    except Exception as error:  # a plugin's code may raise anything
        return [_fault(root, path, raised(config, method, error))]
    return [_fault(root, (*path, *(field.split(".") if field else ())), message) for field, message in problems]


def _check_pairs(root: Node, spec: DataSpec, sections: Mapping[str, Any]) -> Iterator[Fault]:
    """Check that data with pairs of its own has no other source and coupling."""
    for name in ("source", "coupling"):
        default = Recipe.model_fields[name].default
        if spec.paired and name in sections and (got := to_data(sections[name])["type"]) != default:
            wrong = f"got {got!r}, but the data comes in pairs (x0, x1), so x0 has no other {name}"
            yield _fault(root, (name,), wrong, f"{default!r}, or remove it")


def _check_conditions(
    root: Node, spec: DataSpec, train: TrainSettings | None, sample: SampleSettings | None
) -> Iterator[Fault]:
    dropout = ("train", "condition_dropout")
    if sample and sample.classes is not None:
        yield from _check_classes(root, spec, sample.classes)
    if spec.condition is None and train and train.condition_dropout > 0:
        yield _fault(root, dropout, f"got {train.condition_dropout}, but the data has no condition to drop", "0")


def _check_classes(root: Node, spec: DataSpec, classes: Sequence[int]) -> Iterator[Fault]:
    path = ("sample", "classes")
    if not isinstance(spec.condition, Labels):
        yield _fault(root, path, "the data has no classes", "null, or remove it")
        return
    for index, label in enumerate(classes):
        if label >= spec.condition.num_classes:
            expected = f"0 to {spec.condition.num_classes - 1}"
            yield _fault(root, (*path, str(index)), f"class {label} does not exist", expected)


def _fault(root: Node, path: Path, wrong: str, expected: str = "") -> Fault:
    """Return a fault at the position of `path`, or of its nearest ancestor that the recipe contains."""
    return Fault(follow(root, (), path)[0].place, as_written(root, path), wrong, expected)
