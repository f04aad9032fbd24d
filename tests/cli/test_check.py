"""What `gentool check` writes, and a verb that is misspelt."""

import json
import sys

import pytest

from gentoolkit.plugins import Plugin, Plugins
from gentoolkit.registry import Registry
from gentoolkit.testing import CONTRACTS, contracts_of
from testing_parts.catalogue import entry, sampler


@pytest.fixture
def parts(monkeypatch):
    """A sampler without an order as the only component of the only plugin; returns its entry."""
    made = entry(sampler("NoOrder", module="broken_samplers"))
    registry = Registry()
    registry.add(made)
    plugins = Plugins(registry, (Plugin("parts", "parts", "1.0", (made,), None, (), None),), ())
    monkeypatch.setattr("gentoolkit.plugins.load_plugins", lambda: plugins)
    return made


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


def test_every_headline_is_a_sentence():
    assert not [key for key, contract in CONTRACTS.items() if contract.headline[-1] not in ".!"]


@pytest.mark.parametrize(("options", "told"), [((), "checking sampler {}\n"), (("--json",), "")])
def test_progress_is_shown_on_a_terminal_but_not_beside_json(gentool, parts, monkeypatch, options, told):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, out, err = gentool("check", "parts", *options)
    assert err == told.format(f"{parts.name} ...")
    if options:
        assert {outcome["contract"] for outcome in json.loads(out)} == {c.id for c in contracts_of(parts)}


@pytest.mark.parametrize(
    ("verb", "end"), [("chek", "No such verb 'chek'; did you mean 'check'?\n"), ("zzz", "'zzz'.\n")]
)
def test_a_misspelt_verb_is_answered_with_the_nearest(gentool, verb, end):
    code, out, err = gentool(verb)
    assert (code, out) == (2, "")
    assert err.endswith(end)
