"""What `gentool check` writes, and a verb that is misspelt."""

import json
import sys

import pytest

from gentoolkit import verbs
from gentoolkit.plugins import GROUP, load_plugins
from gentoolkit.testing import CONTRACTS, contracts_of

PARTS = """
from gentoolkit.api import Component, hookimpl
from testing_parts.configs import StepsConfig

@hookimpl
def gentoolkit_components():
    yield Component("no_order", StepsConfig, "testing_parts.broken_samplers:NoOrder")
"""
COMMANDS = """
import click
shine = click.Command("shine", help="Shine.")
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install the distribution `parts` with one plugin of that source."""

    monkeypatch.setitem(sys.modules, "parts_plugin", None)  # so that it is forgotten at the end
    del sys.modules["parts_plugin"]

    def make(source, points=f"[{GROUP}]\nmain = parts_plugin\n"):
        (tmp_path / "parts_plugin.py").write_text(source)
        info = tmp_path / "parts-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parts\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(points)
        monkeypatch.syspath_prepend(tmp_path)

    return make


@pytest.fixture
def parts(install):
    """Install a sampler without an order as the only component; return its entry."""
    install(PARTS)
    (entry,) = [entry for entry in load_plugins().registry.entries() if entry.distribution == "parts"]
    return entry


FAILED = "order is None; declare it, or the trait 'adaptive' or 'stochastic'"


def test_by_default_what_did_not_pass_is_listed(gentool, parts):
    code, out, err = gentool("check", "parts")
    (failed, summary) = out.splitlines()
    assert (code, err) == (1, "")  # no progress, since this is no terminal
    assert failed == f"failed: {parts.name} sampler.order: {FAILED}"
    assert summary == f"{len(contracts_of(parts))} run: {len(contracts_of(parts)) - 1} passed, 1 failed, " + (
        "0 failed as expected; 0 skipped"
    )


def test_verbose_lists_all_with_what_they_demand(gentool, parts):
    code, out, _ = gentool("check", "-v", "parts")
    lines = out.splitlines()
    assert code == 1
    for contract in contracts_of(parts):
        status = "failed" if contract.id == "sampler.order" else "passed"
        assert f"{status}: {parts.name} {contract.id}: {contract.headline}" in lines
    assert f"  {FAILED}" in lines


def test_a_package_that_has_commands_alone_is_checked(gentool, install):
    install(COMMANDS, f"[{verbs.GROUP}]\nshine = parts_plugin:shine\n")
    code, out, _ = gentool("check", "-v", "parts")
    assert code == 0
    assert f"passed: parts/shine command.help: {CONTRACTS['command.help'].headline}" in out.splitlines()
    assert out.endswith("2 run: 2 passed, 0 failed, 0 failed as expected; 0 skipped\n")


def test_a_command_whose_name_is_taken_is_not_checked(gentool, install):
    install(COMMANDS, f"[{verbs.GROUP}]\nrun = parts_plugin:shine\n")
    code, _, err = gentool("check", "parts")
    assert code == 2
    assert "run: the command 'run' already exists in gentoolkit; rename it" in err


def test_each_result_is_printed_as_soon_as_it_is_known(gentool, parts, monkeypatch):
    from gentoolkit.testing.worker import supervised

    def cut_short(name):
        for planned, outcome in supervised(name):
            yield planned, outcome
            if outcome is not None and outcome.status == "failed":
                raise KeyboardInterrupt

    monkeypatch.setattr("gentoolkit.testing.worker.supervised", cut_short)
    code, out, _ = gentool("check", "parts")
    assert (code, out) == (130, f"failed: {parts.name} sampler.order: {FAILED}\n")


@pytest.mark.parametrize(("options", "told"), [((), "checking sampler {}\n"), (("--json",), "")])
def test_progress_is_shown_on_a_terminal_but_not_beside_json(gentool, parts, monkeypatch, options, told):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, out, err = gentool("check", "parts", *options)
    assert err == told.format(f"{parts.name} ...")
    if options:
        assert {outcome["contract"] for outcome in json.loads(out)} == {c.id for c in contracts_of(parts)}


@pytest.mark.parametrize(
    ("verb", "end"), [("chek", "No such command 'chek'; did you mean 'check'?\n"), ("zzz", "'zzz'.\n")]
)
def test_a_misspelt_verb_is_answered_with_the_nearest(gentool, verb, end):
    code, out, err = gentool(verb)
    assert (code, out) == (2, "")
    assert err.endswith(end)
