"""The contracts of commands: each catches what it is there for."""

import sys

import pytest

from gentoolkit.testing import CONTRACTS, contracts_of, run
from gentoolkit.testing.command import CommandCase
from gentoolkit.verbs import Verb

COMMANDS = """
import click

class Helpless(click.Command):
    def get_help(self, ctx):
        raise ValueError("no help")

@click.group()
def tools():
    "Tools."

@tools.command()
def polish():
    "Polish."

bad = Helpless("bad")
group = click.Group("g", [Helpless("bad")])
mute = click.Command("mute", add_help_option=False)
number = 3
"""
SABOTEURS = [
    ("command.help", "missing", "has no attribute 'missing'"),
    ("command.help", "number", "'commanding:number' is a int; expected a click.Command"),
    ("command.help", "bad", "gentool bad --help fails: ValueError: no help"),
    ("command.help", "group", "gentool group bad --help fails: ValueError: no help"),
    ("command.help", "mute", "gentool mute --help fails"),
    ("command.no_torch", "tools", "importing commanding imports torch"),
]


@pytest.fixture
def case(tmp_path, monkeypatch):
    """Make a command of a module."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(attribute, first=""):
        (tmp_path / "commanding.py").write_text(first + COMMANDS)
        return CommandCase(Verb(attribute, f"commanding:{attribute}", "my-parts", "1.0"))

    yield make
    sys.modules.pop("commanding", None)


def test_a_right_command_keeps_its_contracts(case):
    tools = case("tools")
    assert [contract.id for contract in contracts_of(tools)] == ["command.help", "command.no_torch"]
    assert [run(contract, tools).message for contract in contracts_of(tools)] == ["", ""]


@pytest.mark.parametrize(("contract", "attribute", "message"), SABOTEURS)
def test_its_contract_catches_the_saboteur(case, contract, attribute, message):
    outcome = run(CONTRACTS[contract], case(attribute, "import torch\n" if contract == "command.no_torch" else ""))
    assert outcome.status == "failed"
    assert message in outcome.message


def test_each_contract_of_commands_has_a_saboteur():
    assert {contract for contract, _, _ in SABOTEURS} == {key for key in CONTRACTS if key.startswith("command.")}
