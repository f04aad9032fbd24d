"""Checks across sections: whether the parts of a recipe fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gentoolkit.api import DataSpec, Labels
from gentoolkit.recipe.faults import Fault, Path, dotted
from gentoolkit.recipe.model import Part, data_spec
from gentoolkit.recipe.reader import Node
from gentoolkit.recipe.validation import follow
from gentoolkit.settings import SampleSettings, TrainSettings


def check_fit(
    root: Node, parts: Mapping[Path, Part], train: TrainSettings | None, sample: SampleSettings | None
) -> list[Fault]:
    """Return the inconsistencies between sections. Sections that are invalid themselves are skipped.

    Args:
        root: The recipe's tree, for positions.
        parts: The valid components by path, e.g. ("backbone",) or ("metrics", "0").
        train: The `train` section, or None if it is invalid.
        sample: The `sample` section, or None if it is invalid.
    """
    faults = list(_equal_metrics(root, parts))
    if dataset := parts.get(("dataset",)):
        try:
            spec = data_spec(dataset, train)
        except Exception as error:  # a plugin's code may raise anything
            return [*faults, _fault(root, ("dataset",), _raised(dataset, "spec", error))]
        for path, part in parts.items():
            faults += _check_part(root, path, part, spec)
        faults += _check_conditions(root, spec, train, sample)
    return faults


def _equal_metrics(root: Node, parts: Mapping[Path, Part]) -> Iterator[Fault]:
    first: list[tuple[Path, Part]] = []
    for path, part in parts.items():
        same = [known for known, other in first if (other.type, other.config) == (part.type, part.config)]
        if same:
            yield _fault(root, path, f"duplicate of {dotted(same[0])}", "a different config; otherwise remove it")
        elif path[0] == "metrics":
            first.append((path, part))


def _check_part(root: Node, path: Path, part: Part, spec: DataSpec) -> list[Fault]:
    try:
        problems = [(problem.field, problem.message) for problem in part.config.check(spec)]
    except Exception as error:  # a plugin's code may raise anything
        return [_fault(root, path, _raised(part, "check", error))]
    return [_fault(root, (*path, *(field.split(".") if field else ())), message) for field, message in problems]


def _raised(part: Part, method: str, error: Exception) -> str:
    entry = part.entry
    return f"{method}() of {part.type!r} raised {type(error).__name__}: {error}; this is a bug in {entry.distribution}"


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
