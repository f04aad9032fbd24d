"""Every contract catches what it is there for, and blames no component that is right."""

import pytest

from gentoolkit.testing import CONTRACTS, Case, contracts_of, run
from testing_parts.catalogue import GOOD, SABOTEURS, entry

GOOD_CASES = [
    pytest.param(contract.id, component, id=f"{i}-{component.name}-{contract.id}")
    for i, component in enumerate(GOOD)
    for contract in contracts_of(entry(component))
]


def test_every_contract_has_a_saboteur():
    of_components = {key for key in CONTRACTS if not key.startswith("command.")}  # for the others see test_commands.py
    assert {saboteur.contract for saboteur in SABOTEURS} == of_components


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=lambda s: f"{s.contract}-{s.component.name}")
def test_its_contract_catches_the_saboteur(saboteur):
    outcome = run(CONTRACTS[saboteur.contract], Case(entry(saboteur.component)))
    assert outcome.status == "failed"
    assert saboteur.message in outcome.message


@pytest.mark.parametrize(("contract", "component"), GOOD_CASES)
def test_a_right_component_keeps_its_contracts(contract, component):
    outcome = run(CONTRACTS[contract], Case(entry(component)))
    declared = contract in component.expected_failures
    assert outcome.status in (("expected failure",) if declared else ("passed", "skipped")), outcome.message
