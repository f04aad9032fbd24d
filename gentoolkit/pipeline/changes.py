"""Differences between a checkpoint and the recipe to resume with, and which of them are allowed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gentoolkit.configs import Config
from gentoolkit.errors import NoCheckpointError, UsageError, last_line
from gentoolkit.recipe import Recipe, dump_recipe
from gentoolkit.recipe.faults import Path
from gentoolkit.recipe.reader import read
from gentoolkit.registry import Registry, build, entry_of
from gentoolkit.settings import TrainSettings
from gentoolkit.training import Checkpoint, Plan

#: Sections and fields of a recipe that do not affect the trained weights.
CHANGEABLE = ("sampler", "guidance", "sample", "evaluate", "metrics", "observers", "device")
#: Other fields that do not affect the trained weights.
UNTRAINED = (
    "name",
    *("init_from", "init_from.run", "init_from.step", "init_from.sha256"),  # used at the start only
    *(f"train.{name}" for name in ("checkpoint_every", "keep_checkpoints", "validate_every", "log_every")),
)
LENGTH = ("train.steps", "train.epochs")


def used_plugins(recipe: Recipe) -> dict[str, str]:
    """Return distribution -> version for every component in the recipe."""
    return _versions(recipe.components())


def trained_plugins(recipe: Recipe) -> dict[str, str]:
    """Return distribution -> version for the components that affect the trained weights. Checkpoints record this."""
    return _versions((path, config) for path, config in recipe.components() if path[0] not in CHANGEABLE)


def _versions(components: Iterable[tuple[Path, Config]]) -> dict[str, str]:
    entries = (entry_of(config) for _, config in components)
    return {entry.distribution: entry.version for entry in entries}


@dataclass(frozen=True)
class Changes:
    """The differences between the recipe that a checkpoint was trained with and the current one.

    Attributes:
        step: The checkpoint's step.
        fields: Field -> (value in the checkpoint, current value). None stands for a missing value.
        train: The `train` section of the checkpoint.
    """

    step: int
    fields: Mapping[str, tuple[Any, Any]]
    train: TrainSettings

    @classmethod
    def between(cls, saved: Checkpoint, recipe: Recipe, registry: Registry) -> Changes:
        """Compare the recipe and plugin versions recorded in a checkpoint with the current ones.

        Raises:
            NoCheckpointError: The checkpoint does not contain a valid recipe.
        """
        try:
            then = _plain(saved.numbers["recipe"])
            train = TrainSettings.model_validate_json(json.dumps(then["train"]), context=registry)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise NoCheckpointError(
                f"the checkpoint of step {saved.step} does not contain a valid recipe: {last_line(error)}"
            ) from error
        was, now = _flat(then), _flat(_plain(dump_recipe(recipe)))
        if "plugins" in saved.numbers:
            was |= {f"version of {name}": version for name, version in saved.numbers["plugins"].items()}
            now |= {f"version of {name}": version for name, version in trained_plugins(recipe).items()}
        differ = {
            field: (was.get(field), now.get(field)) for field in {**was, **now} if was.get(field) != now.get(field)
        }
        return cls(saved.step, differ, train)

    def require_allowed(self) -> None:
        """Raise an error if a change affects the trained weights.

        Raises:
            UsageError: At least one does. The message lists them, one per line.
        """
        refused = [
            f"  {self.line(field)}"
            for field in self.fields
            if field not in (*UNTRAINED, *LENGTH) and field.partition(".")[0] not in CHANGEABLE
        ]
        if refused:
            raise UsageError(
                "\n".join(
                    [
                        f"the recipe or plugins have changed since checkpoint step-{self.step} (checkpoint -> now):",
                        *refused,
                        "undo these changes, or accept and record them with --force",
                    ]
                )
            )

    @property
    def anew(self) -> set[str]:
        """Return which parts of the state a forced change resets: "optimizer", "ema"."""
        other = [field for field in self.fields if field.startswith("train.optimizer.") and field.endswith(".type")]
        averages = [field for field in self.fields if field.startswith("train.ema")]
        return ({"optimizer"} if other else set()) | ({"ema"} if averages else set())

    def line(self, field: str) -> str:
        """Return "field: old -> new"."""
        was, now = ("none" if value is None else value for value in self.fields[field])
        return f"{field}: {was} -> {now}"

    def lines(self, plan: Plan) -> list[str]:
        """Describe the changes, one per line, and the effect of a new length on the learning rates.

        Raises:
            UsageError: The new length is shorter than the number of steps already trained.
        """
        lines = [f"changed since step {self.step}: {self.line(field)}" for field in self.fields]
        if not self.fields.keys() & {*LENGTH}:
            return lines
        total = plan.total_steps
        if total < self.step:
            raise UsageError(
                f"the run is already at step {self.step}, so it cannot end at step {total}; set more steps"
            )
        earlier = Plan(self.train, plan.num_samples, plan.seed, build(self.train.schedule))
        before = earlier.rate(max(self.step - 1, 0))
        after = plan.rate(self.step) if total > self.step else before
        name = entry_of(plan.settings.schedule).name
        schedule = f"the {name} schedule is recomputed for {total} steps, from step {self.step} on"
        return [*lines, f"{schedule}: the learning rate goes from {before:.1%} to {after:.1%} of its peak"]


def _plain(text: str) -> dict[str, Any]:
    node = read(text, "checkpoint", [])
    return {} if node is None else dict(node.plain())


def _flat(tree: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return the leaves of a tree by dotted path. Lists are leaves."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return flat
