"""The toy's parts keep the contracts of any plugin's, and every loop over them trains."""

import pytest
import torch

from benchmarks import toy_loops
from benchmarks.toy import COMPONENTS, toy_model
from gentoolkit.registry import Entry
from gentoolkit.testing import Case, contracts_of, run


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_its_components_keep_their_contracts(component):
    case = Case(Entry(f"benchmarks/{component.name}", component, "benchmarks", "0"))
    # Declaration and network share a module, which so imports torch; no one lists these components.
    outcomes = [run(contract, case) for contract in contracts_of(case.entry) if contract.id != "any.no_torch"]
    assert [outcome for outcome in outcomes if outcome.status not in ("passed", "skipped")] == []
    assert "passed" in {outcome.status for outcome in outcomes}


def test_the_points_lie_around_eight_centres():
    points = toy_model().splits["train"].points
    angles = torch.atan2(points[:, 1], points[:, 0]) / (2 * torch.pi / 8)
    # One center in eight for each; 100,000 points: 5 standard errors of a share are 0.005.
    shares = torch.bincount(angles.round().long() % 8, minlength=8) / len(points)
    assert shares.tolist() == pytest.approx([1 / 8] * 8, abs=0.01)
    assert points.norm(dim=1).mean().item() == pytest.approx(2.01, abs=0.01)  # sqrt(4 + 0.04) by the second moment


def test_our_loop_takes_as_many_steps_each_time(monkeypatch):
    states = []
    real = toy_loops.train
    monkeypatch.setattr(toy_loops, "train", lambda state, *rest: states.append(state) or real(state, *rest))
    loop = toy_loops.our_loop(3)
    taken = [loop() is not None and states[-1].step for _ in range(3)]
    assert taken == [3, 6, 9]


def test_the_bare_loop_learns():
    losses = []

    def noted(network, x1):
        losses.append(toy_loops.plain_loss(network, x1))
        return losses[-1]

    toy_loops.bare_loop(noted, 200)()
    assert len(losses) == 200
    # From E |x1 - x0|² = 3 to its fit; the last losses spread by 0.1.
    assert sum(losses[-20:]).item() / 20 < 0.85 * sum(losses[:20]).item() / 20
