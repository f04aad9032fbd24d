"""How contracts are run, counted and offered to pytest."""

import os
import random
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from gentoolkit.api import Component
from gentoolkit.errors import UsageError
from gentoolkit.plugins import Plugin, Plugins, Quarantined
from gentoolkit.registry import Registry
from gentoolkit.testing import CONTRACTS, Case, ContractError, check, check_entry, contract_tests, contracts_of, run
from gentoolkit.testing.contracts import Contract, contract, does_not_apply, fail, summary
from testing_parts.catalogue import adaptive, entry, metric, objective, sampler
from testing_parts.configs import StepsConfig

PLUGIN = """
from gentoolkit.api import Component, hookimpl
from testing_parts.configs import StepsConfig, ToleranceConfig

@hookimpl
def gentoolkit_components():
    yield Component("careless", StepsConfig, "testing_parts.broken_samplers:NoOrder", StepsConfig())
    yield Component(
        "pair",
        ToleranceConfig,
        "testing_parts.samplers:HeunEuler",
        ToleranceConfig(),
        traits=frozenset({"adaptive"}),
        expected_failures={"sampler.batch_independence": "one step size for the whole batch"},
    )
"""


def outcome(function, **failures):
    """Run a contract made of a function on a component with these expected failures."""
    component = replace(sampler("Euler"), expected_failures=failures)
    return run(Contract("contract", function), Case(entry(component)))


def plugins(*components, quarantined=()):
    entries = tuple(map(entry, components))
    registry = Registry()
    registry.add(*entries)
    return Plugins(registry, (Plugin("parts", "parts", "1.0", entries, None, (), None),), tuple(quarantined))


def test_a_contract_that_returns_has_passed():
    assert outcome(lambda case: None).status == "passed"


def test_a_broken_contract_tells_what_was_measured():
    result = outcome(lambda case: fail("3 steps; declared 4"))
    assert (result.status, result.message) == ("failed", "3 steps; declared 4")


def test_a_crash_is_a_failure_with_its_type_and_place():
    result = outcome(lambda case: {}["key"])
    assert result.status == "failed"
    assert re.search(r"^KeyError: 'key' \(.*test_contract_runner.py:\d+\)$", result.message)


def test_what_does_not_apply_is_skipped_with_its_reason():
    result = outcome(lambda case: does_not_apply("it has no labels"))
    assert (result.status, result.message) == ("skipped", "does not apply: it has no labels")


def test_a_declared_failure_is_expected_and_keeps_reason_and_measurement():
    result = outcome(lambda case: fail("off by 2"), contract="rounds to integers")
    assert (result.status, result.message) == ("expected failure", "rounds to integers (measured: off by 2)")


@pytest.mark.parametrize(
    ("function", "fault"), [(lambda case: None, "but passes"), (lambda case: does_not_apply("x"), "does not apply: x")]
)
def test_an_expected_failure_that_does_not_fail_is_a_failure(function, fault):
    result = outcome(function, contract="rounds to integers")
    assert result.status == "failed"
    assert fault in result.message


def test_traits_leave_contracts_out_and_bring_others_in():
    outcomes = {o.contract: o for o in check_entry(entry(adaptive("HeunEuler")))}
    assert outcomes["sampler.order"].message == "does not apply: it is adaptive"
    assert outcomes["sampler.tolerance"].status == "passed"
    assert outcomes["sampler.batch_independence"].status == "expected failure"
    assert "sampler.noise" not in outcomes  # it concerns stochastic samplers alone


def test_a_component_has_the_contracts_of_its_kind_and_those_of_all():
    kinds = {contract.id.split(".")[0] for contract in contracts_of(entry(metric("MeanDistance")))}
    assert kinds == {"any", "metric"}


def test_every_contract_has_a_statement():
    assert all(contract.statement.endswith(".") for contract in CONTRACTS.values())


def test_two_contracts_can_not_share_an_id():
    with pytest.raises(ValueError, match=r"'sampler\.order' is defined twice"):
        contract("sampler.order")(lambda case: None)


def test_the_summary_counts_all():
    statuses = [lambda case: None, lambda case: None, lambda case: fail("x"), lambda case: does_not_apply("x")]
    outcomes = [*map(outcome, statuses), outcome(statuses[2], contract="because")]
    assert summary(outcomes) == "4 run: 2 passed, 1 failed, 1 failed as expected; 1 skipped"


def test_a_component_that_seeds_everything_leaves_no_trace():
    def seed_all(case):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        raise ContractError

    def states():
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002

    before = states()
    assert outcome(seed_all).status == "failed"
    assert states() == before


def test_check_gives_an_outcome_for_each_contract_of_each_component():
    components = [metric("MeanDistance"), objective("Velocity")]
    outcomes = check("Parts", plugins(*components))  # pip's spelling of a name does not matter
    expected = {(entry(c).name, contract.id) for c in components for contract in contracts_of(entry(c))}
    assert {(o.component, o.contract) for o in outcomes} == expected
    assert {o.status for o in outcomes} == {"passed", "skipped"}


@pytest.mark.parametrize("ask", [check, contract_tests])
def test_an_unknown_distribution_is_answered_with_the_installed_ones(ask):
    with pytest.raises(UsageError, match=r"'prts'.*expected one of 'parts'; did you mean 'parts'"):
        ask("prts", plugins(metric("MeanDistance")))


@pytest.mark.parametrize("ask", [check, contract_tests])
def test_a_quarantined_distribution_is_answered_with_its_fault(ask):
    broken = Quarantined("heun", "my-heun", "1.0", "ImportError: no module named 'numpi'")
    with pytest.raises(UsageError, match=r"'my-heun' can't be checked.*heun: ImportError: no module named 'numpi'"):
        ask("my-heun", plugins(quarantined=[broken]))


def test_a_factory_that_can_not_be_imported_is_named_with_its_fault():
    missing = Component("ghost", StepsConfig, "testing_parts.ghosts:Ghost", StepsConfig())
    result = run(CONTRACTS["any.factory"], Case(entry(missing)))
    assert "sampler 'parts/ghost' of parts 1.0: factory 'testing_parts.ghosts:Ghost'" in result.message


class Refusing:
    """A sampler whose constructor raises."""

    def __init__(self, config):
        raise OSError("no such folder")


@pytest.mark.parametrize(
    ("factory", "fault"),
    [
        (f"{__name__}:Refusing", r"^OSError: no such folder \(.*test_contract_runner.py:\d+\)$"),
        ("testing_parts.ghosts:Ghost", r"^sampler 'parts/ghost'.*can't be imported.*No module named.*ghosts'$"),
    ],
)
def test_what_can_not_be_built_is_told_once_and_its_other_contracts_are_not_run(factory, fault):
    outcomes = list(check_entry(entry(Component("ghost", StepsConfig, factory, StepsConfig()))))
    (failed,) = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert failed.contract == "any.factory"
    assert re.search(fault, failed.message)
    others = {(outcome.status, outcome.message) for outcome in outcomes if outcome is not failed}
    assert others == {("skipped", "not run: it can't be built")}


@pytest.fixture
def installed(tmp_path):
    """Return the environment of a process that sees a distribution `parts` with two components."""
    (tmp_path / "parts_plugin.py").write_text(PLUGIN)
    info = tmp_path / "parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gentoolkit.plugins.v1]\nparts = parts_plugin\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    return {**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": "", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def test_one_line_makes_a_pytest_test_in_any_order_and_in_parallel(installed, tmp_path):
    (tmp_path / "test_contracts.py").write_text(
        'from gentoolkit.testing import contract_tests\n\ntest_contracts = contract_tests("parts")\n'
    )
    command = [sys.executable, "-m", "pytest", "-n", "1", "-v", "-rxsf", "-p", "no:cacheprovider", "test_contracts.py"]
    done = subprocess.run(command, cwd=tmp_path, env=installed, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    # One of the two is broken on purpose, the other has a declared expected failure.
    name = "test_contracts.py::test_contracts"
    assert f"FAILED {name}[careless-sampler.order] - Failed: parts/careless breaks" in (done.stdout)
    assert f"XFAIL {name}[pair-sampler.batch_independence] - one step size for" in done.stdout
    assert "does not apply: it is adaptive" in done.stdout
    assert re.search(r"1 failed, \d+ passed, 4 skipped, 1 xfailed", done.stdout)


def test_contracts_need_no_pytest(installed):
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from gentoolkit.testing import check, summary\n"
        "print(summary(check('parts')))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=installed, capture_output=True, text=True, check=False)
    assert re.fullmatch(r"\d+ run: \d+ passed, 1 failed, 1 failed as expected; 4 skipped\n", done.stdout), done.stderr
