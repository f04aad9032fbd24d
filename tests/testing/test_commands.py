"""The contracts of plugins that observe runs or add verbs: each catches what it is there for."""

import inspect
from types import ModuleType

import pytest
from gentoolkit.testing.hooks import EXAMPLES, OBSERVERS, HooksCase, example_arguments

from gentoolkit.api import Hooks
from gentoolkit.plugins import Plugin, _commands, _manager
from gentoolkit.testing import CONTRACTS, contracts_of, run

GOOD = """
import sys
import click
from pathlib import Path
from gentoolkit.api import hookimpl

SEEN = []

@hookimpl
def gentoolkit_run_started(directory, recipe):
    SEEN.append(recipe["name"])
    Path(directory, "note.txt").write_text("started")

@hookimpl
def gentoolkit_step(step, values):
    print(step, values["loss"], file=sys.stderr)

@hookimpl
def gentoolkit_samples(file):
    assert Path(file).exists()

@hookimpl
def gentoolkit_run_finished(directory):
    assert Path(directory, "note.txt").read_text() == "started"

@click.group()
def tools():
    "Tools."

@tools.command()
def polish():
    "Polish."

@hookimpl
def gentoolkit_commands():
    return [tools]
"""
STEP = "from gentoolkit.api import hookimpl\n\n@hookimpl\ndef gentoolkit_step(step, values):\n    "
COMMANDS = """
import click
from gentoolkit.api import hookimpl

class Helpless(click.Command):
    def get_help(self, ctx):
        raise ValueError("no help")

@hookimpl
def gentoolkit_commands():
    return [{}]
"""
SABOTEURS = [
    ("plugin.observers", STEP + "values['accuracy']", "gentoolkit_step raises KeyError: 'accuracy'"),
    ("plugin.observers", STEP + "raise SystemExit(2)", "gentoolkit_step raises SystemExit: 2"),
    ("plugin.observers", STEP + "if step == 3: 1 / 0", "gentoolkit_step raises ZeroDivisionError"),
    ("plugin.observers", STEP + "print('hello')", "gentoolkit_step: it prints 'hello"),
    ("plugin.observers", STEP + "import os; os.system('echo hello')", "gentoolkit_step: it prints 'hello"),
    ("plugin.observers", STEP + "values['loss'] = 0", "gentoolkit_step changes its arguments values"),
    ("plugin.observers", STEP + "import random; random.random()", "global generator of python was used"),
    ("plugin.observers", STEP + "import torch; torch.rand(1)", "global generator of torch was used"),
    ("plugin.commands", COMMANDS.format("click.Command('run')"), "the command 'run' already exists in gentool"),
    ("plugin.commands", COMMANDS.format("Helpless('bad')"), "gentool bad --help fails: ValueError: no help"),
    ("plugin.commands", COMMANDS.format("click.Group('g', [Helpless('bad')])"), "gentool g bad --help fails: Value"),
    ("plugin.commands", COMMANDS.format("click.Command('mute', add_help_option=False)"), "gentool mute --help fails"),
    ("plugin.no_torch", "import torch\n" + STEP + "pass", "imports torch"),
]


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Make a plugin of a module with that source."""

    def make(source):
        name = "observing_plugin"
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        module = ModuleType(name)
        exec(source, vars(module))
        manager = _manager()
        manager.register(module, "main")
        return HooksCase(Plugin("main", "observing", "1.0", (), module, tuple(_commands(manager)), manager))

    return make


def test_a_right_plugin_keeps_its_contracts(plugin):
    case = plugin(GOOD)
    assert {c.id for c in contracts_of(case)} == {"plugin.observers", "plugin.commands", "plugin.no_torch"}
    assert [run(contract, case).message for contract in contracts_of(case)] == [""] * 3
    assert case.plugin.module.SEEN == ["example-1"] * 2


@pytest.mark.parametrize(("contract", "source", "message"), SABOTEURS)
def test_its_contract_catches_the_saboteur(plugin, contract, source, message):
    outcome = run(CONTRACTS[contract], plugin(source))
    assert outcome.status == "failed"
    assert message in outcome.message


def test_each_contract_of_plugins_has_a_saboteur():
    assert {contract for contract, _, _ in SABOTEURS} == {key for key in CONTRACTS if key.startswith("plugin.")}


def test_a_plugin_has_the_contracts_of_what_it_implements(plugin):
    assert [contract.id for contract in contracts_of(plugin(STEP + "pass"))] == ["plugin.no_torch", "plugin.observers"]


@pytest.mark.parametrize("hook", OBSERVERS)
def test_every_argument_of_an_observer_has_an_example(hook, tmp_path):
    names = list(inspect.signature(getattr(Hooks, hook)).parameters)[1:]
    assert list(example_arguments(hook, tmp_path)) == names


def test_an_argument_without_an_example_gets_one_by_its_type(tmp_path, monkeypatch):
    def gentoolkit_failed(self, reason: "str", count: "int", extra: "dict"): ...

    monkeypatch.setattr(Hooks, "gentoolkit_failed", gentoolkit_failed, raising=False)
    assert "reason" not in EXAMPLES
    assert example_arguments("gentoolkit_failed", tmp_path) == {"reason": "example", "count": 1, "extra": {}}
