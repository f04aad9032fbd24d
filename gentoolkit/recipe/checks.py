"""Checks across sections: whether the parts of a recipe fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gentoolkit.configs import Config, Problem, ScheduleConfig
from gentoolkit.recipe.faults import Fault, Path
from gentoolkit.recipe.model import components_of, data_spec
from gentoolkit.recipe.reader import Node
from gentoolkit.recipe.validation import follow
from gentoolkit.registry import entry_of
from gentoolkit.settings import SampleSettings, TrainSettings
from gentoolkit.spec import DataSpec, Labels


def check_fit(root: Node, sections: Mapping[str, Any]) -> list[Fault]:
    """Return the inconsistencies between sections.

    Args:
        root: The recipe's tree, for positions.
        sections: The valid sections by name. The others are not checked.
    """
    faults = list(_equal_metrics(root, sections.get("metrics", ())))
    train, sample = sections.get("train"), sections.get("sample")
    if train and train.steps is not None:
        faults += _check_length(root, train.schedule, train.steps)
    if dataset := sections.get("dataset"):
        try:
            spec = data_spec(dataset, train)
        except Exception as error:  # a plugin's code may raise anything
            return [*faults, _fault(root, ("dataset",), _raised(dataset, "spec", error))]
        for path, config in components_of(sections):
            faults += _check_component(root, path, config, spec)
        faults += _check_conditions(root, spec, train, sample)
    return faults


def _equal_metrics(root: Node, metrics: Sequence[Config]) -> Iterator[Fault]:
    for index, metric in enumerate(metrics):
        if metric in metrics[:index]:
            same = f"metrics.{metrics.index(metric)}"
            expected = "a different config; otherwise remove it"
            yield _fault(root, ("metrics", str(index)), f"duplicate of {same}", expected)


def _check_length(root: Node, schedule: ScheduleConfig, total_steps: int) -> list[Fault]:
    path = ("train", "schedule")
    try:
        problems = list(schedule.check_length(total_steps))
    except Exception as error:  # a plugin's code may raise anything
        return [_fault(root, path, _raised(schedule, "check_length", error))]
    return _faults(root, path, problems)


def _check_component(root: Node, path: Path, config: Config, spec: DataSpec) -> list[Fault]:
    try:
        problems = list(config.check(spec))
    except Exception as error:  # a plugin's code may raise anything
        return [_fault(root, path, _raised(config, "check", error))]
    return _faults(root, path, problems)


def _faults(root: Node, path: Path, problems: Sequence[Problem]) -> list[Fault]:
    return [_fault(root, (*path, *(field.split(".") if field else ())), message) for field, message in problems]


def _raised(config: Config, method: str, error: Exception) -> str:
    entry = entry_of(config)
    return f"{method}() of {entry.name!r} raised {type(error).__name__}: {error}; this is a bug in {entry.distribution}"


def _check_conditions(
    root: Node, spec: DataSpec, train: TrainSettings | None, sample: SampleSettings | None
) -> Iterator[Fault]:
    dropout = ("train", "condition_dropout")
    guidance = ("sample", "guidance")
    if sample and sample.classes is not None:
        yield from _check_classes(root, spec, sample.classes)
    if spec.condition is None:
        if train and train.condition_dropout > 0:
            yield _fault(root, dropout, f"got {train.condition_dropout}, but the data has no condition to drop", "0")
        if sample and sample.guidance != 1:
            yield _fault(root, guidance, f"got {sample.guidance}, but the data has no condition", "1 (no guidance)")
    elif train and sample and sample.guidance != 1 and train.condition_dropout == 0:
        wrong = f"got {sample.guidance}, but training never drops the condition"
        yield _fault(root, guidance, wrong, "1, or train.condition_dropout above 0, such as 0.1")


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
    return Fault(follow(root, (), path)[0].place, path, wrong, expected)
