"""Contracts for plugins that observe runs or add commands to `gentool`."""

from __future__ import annotations

import copy
import inspect
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from gentoolkit.api import Hooks
from gentoolkit.plugins import HOOKS, Plugin
from gentoolkit.testing.contracts import ContractError, contract, fail, require
from gentoolkit.testing.measures import IMPORT_PLUGIN, global_randomness_kept, in_fresh_interpreter
from gentoolkit.testing.running import described
from gentoolkit.verbs import VERBS

#: The hooks that observe a run, in the order in which a run calls them.
OBSERVERS = tuple(name for name in HOOKS if name not in ("gentoolkit_components", "gentoolkit_commands"))
#: Example values for hook arguments, by name. Any other argument gets a value of its type.
EXAMPLES: Mapping[str, Callable[[Path], Any]] = {
    "directory": str,
    "file": lambda run: str(run / "samples" / "samples.safetensors"),
    "recipe": lambda run: {
        "version": 1,
        "name": run.name,
        "seed": 0,
        "dataset": {"type": "patterns", "num_samples": 16},
        "backbone": {"type": "dit", "depth": 2},
        "objective": {"type": "flow_matching"},
        "sampler": {"type": "euler", "num_steps": 4},
        "metrics": [{"type": "sliced_wasserstein"}],
        "train": {"steps": 2, "batch_size": 8},
    },
    "results": lambda run: {
        "run": str(run),
        "report": str(run / "report.html"),
        "seconds": {"train": 1.0, "sample": 0.1, "evaluate": 0.1},
        "evaluation": {"step": 2, "validation": {"loss": 0.5}, "metrics": {}},
    },
    "step": lambda run: 1,
    "values": lambda run: {"loss": 0.5, "learning_rate": 1e-3, "gradient_norm": 1.0},
}
_BY_TYPE: Mapping[str, Any] = {"str": "example", "int": 1, "float": 0.5, "bool": True}


@dataclass(frozen=True)
class HooksCase:
    """A plugin with other hooks than `gentoolkit_components`."""

    plugin: Plugin

    kind = "plugin"
    can_be_built = True

    @property
    def expected_failures(self) -> Mapping[str, str]:
        """Always empty: only components can declare expected failures."""
        return {}

    @property
    def name(self) -> str:
        """The distribution and the entry point, e.g. "my-parts/my-extras"."""
        return f"{self.plugin.distribution}/{self.plugin.name}"

    @property
    def observed(self) -> tuple[str, ...]:
        """The observer hooks that the plugin implements, in the order in which a run calls them."""
        hooks = self.plugin.hooks.hook
        return tuple(name for name in OBSERVERS if getattr(hooks, name).get_hookimpls())

    @property
    def traits(self) -> frozenset[str]:
        """What the plugin does besides declaring components: "observes", "commands"."""
        found = {"observes": self.observed, "commands": self.plugin.commands}
        return frozenset(trait for trait, hooks in found.items() if hooks)


def example_arguments(hook: str, run: Path) -> dict[str, Any]:
    """Return an example value for each argument of a hook, by its name in `EXAMPLES` or else by its type."""
    parameters = list(inspect.signature(getattr(Hooks, hook)).parameters.values())[1:]
    by_type = {p.name: _BY_TYPE.get(str(p.annotation), {}) for p in parameters}
    return {name: EXAMPLES[name](run) if name in EXAMPLES else value for name, value in by_type.items()}


@contextmanager
def _example_run() -> Iterator[Path]:
    """Yield a run directory with the usual folders and a samples file."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "example-1"
        for name in ("checkpoints", "samples", "images"):
            (run / name).mkdir(parents=True)
        save_file({"x1": torch.zeros(4, 1, 8, 8), "condition": torch.arange(4)}, EXAMPLES["file"](run))
        yield run


@contextmanager
def _stdout_kept() -> Iterator[None]:
    """Require that the block does not write to stdout, through `sys.stdout` or to its file descriptor."""
    printed = io.StringIO()
    with tempfile.TemporaryFile() as file:
        kept = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            with redirect_stdout(printed):
                yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        text = printed.getvalue() + file.read().decode(errors="replace")
    require(not text, f"it prints {text[:80]!r} to stdout, which is reserved for results; print to stderr instead")


@contract("plugin.observers", needs=["observes"])
def observers(case: HooksCase) -> None:
    """Observers handle a small run without raising, printing to stdout, using global generators or changing arguments.

    Every hook is called for a run that finishes and then for one that fails, each in its own directory with steps
    counted anew: the state that an observer keeps from one run must not affect the next.

    Power: any exception, any output on stdout, any draw from the global generators of torch, numpy and Python, and any
    change of an argument, in the first three steps. Later steps of a run are not checked.
    """
    for left_out in ("failed", "finished"):
        with _example_run() as run:
            for hook in case.observed:
                if not hook.endswith(left_out):
                    _call(case.plugin, hook, run)


def _call(plugin: Plugin, hook: str, run: Path) -> None:
    """Call an observer hook; a hook for steps is called for three steps."""
    arguments = example_arguments(hook, run)
    for step in (1, 2, 3) if "step" in arguments else (None,):
        given = arguments if step is None else {**arguments, "step": step}
        before = copy.deepcopy(given)
        try:
            with _stdout_kept(), global_randomness_kept():
                getattr(plugin.hooks.hook, hook)(**given)
        except ContractError as fault:
            fail(f"{hook}: {fault}")
        except (Exception, SystemExit) as fault:
            fail(f"{hook} raises {described(fault)}")
        changed = [name for name, value in given.items() if value != before[name]]
        require(not changed, f"{hook} changes its arguments {', '.join(changed)}, which other observers receive too")


@contract("plugin.commands", needs=["commands"])
def commands(case: HooksCase) -> None:
    """Every command has an unused name, and `--help` works for it and for all its subcommands.

    Power: any command whose help raises, exits with a code other than 0 or prints nothing.
    """
    for command in case.plugin.commands:
        name = command.name or ""
        require(name not in VERBS, f"the command {name!r} already exists in gentool; rename it")
        for path, found in _with_subcommands(command, name):
            result = CliRunner().invoke(found, ["--help"], prog_name=f"gentool {path}")
            if result.exception is not None:
                fail(f"gentool {path} --help fails: {described(result.exception)}")
            require(result.output.startswith("Usage:"), f"gentool {path} --help prints {result.output[:80]!r}")


def _with_subcommands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            if (found := command.get_command(context, name)) is not None:
                yield from _with_subcommands(found, f"{path} {name}")


@contract("plugin.no_torch")
def no_torch(case: HooksCase) -> None:
    """Loading the plugin and listing its commands does not import torch, because `gentool --help` loads every plugin.

    Power: any import of torch at the top of a module that the declaration imports.
    """
    module = case.plugin.module.__name__
    answer = in_fresh_interpreter(IMPORT_PLUGIN, module, case.plugin.distribution)
    require(answer == "False", f"importing {module} imports torch; import it inside the functions that use it")
