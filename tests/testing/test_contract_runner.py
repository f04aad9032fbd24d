"""How contracts are run, counted and offered to pytest."""

import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gentoolkit import testing
from gentoolkit.api import Component
from gentoolkit.errors import UsageError
from gentoolkit.plugins import Plugin, Plugins, Quarantined, load_plugins
from gentoolkit.registry import Registry
from gentoolkit.testing import (
    CONTRACTS,
    MOST_SAMPLES,
    Case,
    ContractError,
    Outcome,
    check,
    check_entry,
    contract_tests,
    contracts_of,
    run,
    summary,
)
from gentoolkit.testing.contracts import Contract, contract, does_not_apply, fail
from gentoolkit.testing.worker import supervised
from testing_parts.catalogue import adaptive, entry, metric, observer, sampler
from testing_parts.configs import BlobsConfig, PlainConfig, StepsConfig
from testing_parts.datasets import Blobs
from testing_parts.objectives import Velocity
from testing_parts.samplers import EulerMaruyama

DEADLY = """
import os, signal, sys, time
from testing_parts.samplers import Euler

class Killed(Euler):
    def step(self, *arguments):
        os.kill(os.getpid(), signal.SIGKILL)

class Exits(Euler):
    def with_num_steps(self, num_steps):
        os._exit(3)

class Quits(Euler):
    def with_num_steps(self, num_steps):
        sys.exit("enough")

class Hangs(Euler):
    def __init__(self, config):
        os.fork()  # a process of its own, which would hang, too
        time.sleep(86400)

class Prints(Euler):
    def __init__(self, config):
        super().__init__(config)
        print("{}")
        os.system("echo spoilt")
"""
DEADLY_PLUGIN = """
from gentoolkit.api import Component, hookimpl
from testing_parts.configs import StepsConfig

@hookimpl
def gentoolkit_components():
    for name in NAMES:
        yield Component(name.lower(), StepsConfig, f"deadly:{name}", expected_failures=EXPECTED)
"""
PLUGIN = """
from gentoolkit.api import Component, hookimpl
from testing_parts.configs import StepsConfig, ToleranceConfig

@hookimpl
def gentoolkit_components():
    yield Component("careless", StepsConfig, "testing_parts.broken_samplers:NoOrder")
    yield Component(
        "pair",
        ToleranceConfig,
        "testing_parts.samplers:HeunEuler",
        {},
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
    return Plugins(registry, (Plugin("parts", "parts", "1.0", entries),), tuple(quarantined))


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


def test_a_component_whose_extra_is_not_installed_is_skipped_with_its_message():
    outcomes = list(check_entry(entry(observer("NotInstalled"))))
    assert {outcome.status for outcome in outcomes} == {"skipped"}
    assert outcomes[0].message == "does not apply: wandb is not installed: pip install parts[wandb]"
    assert {outcome.message for outcome in outcomes[1:]} == {"not run: the component can't be built"}


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
    assert outcomes["sampler.order"].message == "does not apply: the sampler is adaptive"
    assert outcomes["sampler.tolerance"].status == "passed"
    assert outcomes["sampler.batch_independence"].status == "expected failure"
    assert "sampler.noise" not in outcomes  # it concerns stochastic samplers alone


def test_a_component_has_the_contracts_of_its_kind_and_those_of_all():
    kinds = {contract.id.split(".")[0] for contract in contracts_of(entry(metric("MeanDistance")))}
    assert kinds == {"any", "metric"}


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


def install(folder, monkeypatch, source, **modules):
    """Install a distribution `parts` with one plugin, and modules beside it; return what `load_plugins` finds."""
    for name, text in {"parts_plugin": source, **modules}.items():
        (folder / f"{name}.py").write_text(text)
        monkeypatch.setitem(sys.modules, name, None)  # so that it is forgotten at the end
        del sys.modules[name]
    info = folder / "parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gentoolkit.plugins.v2]\nparts = parts_plugin\n")
    monkeypatch.syspath_prepend(folder)


def deadly(folder, monkeypatch, *names, **expected):
    """Install components that end or hold up the process they are in."""
    source = f"NAMES, EXPECTED = {names!r}, { {key.replace('__', '.'): why for key, why in expected.items()} }"
    install(folder, monkeypatch, source + DEADLY_PLUGIN, deadly=DEADLY)


def test_check_gives_an_outcome_for_each_contract_of_each_component(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, PLUGIN)
    outcomes = check("Parts")  # pip's spelling of a name does not matter
    entries = [entry for entry in load_plugins().registry.entries() if entry.distribution == "parts"]
    assert [(o.component, o.contract) for o in outcomes] == [(e.name, c.id) for e in entries for c in contracts_of(e)]
    statuses = {(o.component, o.contract): o.status for o in outcomes if o.status not in ("passed", "skipped")}
    assert statuses == {
        ("parts/careless", "sampler.order"): "failed",
        ("parts/pair", "sampler.batch_independence"): "expected failure",
    }


def test_what_kills_the_process_fails_its_contract_and_the_others_run(tmp_path, monkeypatch):
    deadly(tmp_path, monkeypatch, "Exits", "Killed", sampler__state="it uses too much memory")
    outcomes = {(o.component, o.contract): o for o in check("parts")}
    killed = outcomes["parts/killed", "sampler.constant_field"]
    assert killed.status == "failed"
    assert killed.message == "the process was killed by signal 9 (SIGKILL), probably out of memory"
    # What is declared of a contract is declared of every way to fail it.
    assert outcomes["parts/killed", "sampler.state"].status == "expected failure"
    exits = outcomes["parts/exits", "sampler.order"]
    assert exits.status == "failed"
    assert "the process ended with exit code 3" in exits.message
    assert outcomes["parts/exits", "sampler.constant_field"].status == "passed"
    assert outcomes["parts/killed", "any.config_round_trip"].status == "passed"


def test_a_component_that_exits_is_told_with_the_place(tmp_path, monkeypatch):
    deadly(tmp_path, monkeypatch, "Quits")
    outcomes = {o.contract: o for o in check("parts")}
    assert re.search(r"^SystemExit: enough \(.*deadly.py:\d+\)$", outcomes["sampler.order"].message)
    assert outcomes["sampler.constant_field"].status == "passed"


def test_a_contract_that_hangs_is_stopped_and_what_can_not_be_built_is_not_tried_again(tmp_path, monkeypatch):
    deadly(tmp_path, monkeypatch, "Hangs")
    outcomes = [outcome for _, outcome in supervised("parts", limit=1) if outcome is not None]
    assert outcomes[0] == Outcome(
        "any.factory", "parts/hangs", "failed", "the process was stopped after 1 seconds without a result"
    )
    assert {(outcome.status, outcome.message) for outcome in outcomes[1:]} == {
        ("skipped", "not run: the component can't be built")
    }


def test_what_a_component_prints_does_not_come_between_the_results(tmp_path, monkeypatch):
    deadly(tmp_path, monkeypatch, "Prints")
    assert {outcome.status for outcome in check("parts")} == {"passed"}


class Greedy:
    """A dataset that counts how many samples it is asked for at once."""

    most = 0

    def __init__(self, config, split, seed):
        self.blobs = Blobs(config, split, seed)

    def __len__(self):
        return len(self.blobs)

    def batch(self, indices):
        Greedy.most = max(Greedy.most, len(indices))
        return self.blobs.batch(indices)


def test_a_dataset_is_never_asked_for_more_samples_than_documented():
    tiny = {"num_samples": 3 * MOST_SAMPLES}
    made = entry(Component("greedy", BlobsConfig, f"{__name__}:Greedy", tiny))
    for name in ("spec", "access_order", "splits"):
        run(CONTRACTS[f"dataset.{name}"], Case(made))
    assert Greedy.most == MOST_SAMPLES


class Matrix(Velocity):
    """An objective that compares each sample of a batch with each."""

    most = 0

    def noise(self, batch, draw):
        Matrix.most = max(Matrix.most, len(batch.x1))
        return super().noise(batch, draw)


def test_an_objective_is_never_handed_more_samples_than_documented():
    made = entry(Component("matrix", PlainConfig, f"{__name__}:Matrix"))
    assert {outcome.status for outcome in check_entry(made)} <= {"passed", "skipped"}
    assert 0 < Matrix.most <= MOST_SAMPLES


class Wide(EulerMaruyama):
    """A stochastic sampler that counts the samples of a batch."""

    most = 0

    def sample(self, field, x0, *arguments, **options):
        Wide.most = max(Wide.most, len(x0))
        return super().sample(field, x0, *arguments, **options)


def test_a_sampler_is_never_handed_more_samples_than_documented():
    traits = frozenset({"stochastic"})
    made = Component("wide", StepsConfig, f"{__name__}:Wide", traits=traits)
    assert run(CONTRACTS["sampler.terminal_moments"], Case(entry(made))).status == "passed"
    assert Wide.most == MOST_SAMPLES


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
    missing = Component("ghost", StepsConfig, "testing_parts.ghosts:Ghost")
    result = run(CONTRACTS["any.factory"], Case(entry(missing)))
    assert "sampler 'parts/ghost' of parts 1.0: factory 'testing_parts.ghosts:Ghost'" in result.message


class Quitting:
    """A sampler whose constructor ends the process."""

    def __init__(self, config):
        raise SystemExit("no such folder")


class Refusing:
    """A sampler whose constructor raises."""

    def __init__(self, config):
        raise OSError("no such folder")


@pytest.mark.parametrize(
    ("factory", "fault"),
    [
        (f"{__name__}:Refusing", r"^OSError: no such folder \(.*test_contract_runner.py:\d+\)$"),
        (f"{__name__}:Quitting", r"^SystemExit: no such folder \(.*test_contract_runner.py:\d+\)$"),
        ("testing_parts.ghosts:Ghost", r"^sampler 'parts/ghost'.*can't be imported.*No module named.*ghosts'$"),
    ],
)
def test_what_can_not_be_built_is_told_once_and_its_other_contracts_are_not_run(factory, fault):
    outcomes = list(check_entry(entry(Component("ghost", StepsConfig, factory))))
    (failed,) = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert failed.contract == "any.factory"
    assert re.search(fault, failed.message)
    others = {(outcome.status, outcome.message) for outcome in outcomes if outcome is not failed}
    assert others == {("skipped", "not run: the component can't be built")}


@pytest.fixture
def installed(tmp_path):
    """Return the environment of a process that sees a distribution `parts` with two components."""
    (tmp_path / "parts_plugin.py").write_text(PLUGIN)
    info = tmp_path / "parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gentoolkit.plugins.v2]\nparts = parts_plugin\n")
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
    assert f"FAILED {name}[careless-sampler.order] - Failed: parts/careless violates" in (done.stdout)
    assert f"XFAIL {name}[pair-sampler.batch_independence] - one step size for" in done.stdout
    assert "does not apply: the sampler is adaptive" in done.stdout
    assert re.search(r"1 failed, \d+ passed, 4 skipped, 1 xfailed", done.stdout)


def test_contracts_need_no_pytest(installed):
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from gentoolkit.testing import check, summary\n"
        "print(summary(check('parts')))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=installed, capture_output=True, text=True, check=False)
    assert re.fullmatch(r"\d+ run: \d+ passed, 1 failed, 1 failed as expected; 4 skipped\n", done.stdout), done.stderr


def test_every_public_name_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert [name for name in testing.__all__ if f"`{name}" not in page] == []
