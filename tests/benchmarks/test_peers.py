"""Peers that are not installed are left out with a word; those that are take real steps."""

import pytest
import torch
from torch.utils.data import TensorDataset

from benchmarks import toy_loops
from benchmarks.peers import TRAININGS, installed
from benchmarks.reference import precisions
from benchmarks.sampling import diffusers_loop


def test_a_peer_that_is_not_installed_is_left_out_with_the_way_to_get_it(capsys):
    assert installed({"json": 1, "no_such_peer": 2}) == {"json": 1}
    assert capsys.readouterr().err == "  no_such_peer is not installed and left out; make bench installs it\n"


@pytest.fixture
def peer(request):
    """Skip where the peer is not installed; forgive it the warnings of its own imports."""
    if not installed({request.param: None}):
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("peer", TRAININGS, indirect=True)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_peer_takes_a_step_with_a_loss_of_flow_matching(peer, precision):
    data = TensorDataset(torch.zeros(4, 4, 32, 32), torch.arange(4))
    training = TRAININGS[peer](data, 2, precision)
    x1, label = next(training.batches)
    # Data is zero, and so is or nearly is the untrained network's part: the target is noise of variance 1, up to the
    # weight of the peer's own loss and the scale of its first weights.
    assert 0.3 < training.loss(x1, label).item() < 30
    before = [parameter.detach().clone() for parameter in training.model.parameters()]
    training.step()
    assert any(not torch.equal(a, b) for a, b in zip(before, training.model.parameters(), strict=True))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("peer", ["diffusers"], indirect=True)
def test_diffusers_samples(peer):
    for precision in precisions():
        x = diffusers_loop(2, 3, precision)()
        assert x.shape == (2, 4, 32, 32)
        assert x.isfinite().all()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("peer", toy_loops.LOSSES, indirect=True)
def test_a_peers_toy_loss_is_that_of_the_plain_loop(peer):
    loss, x1 = toy_loops.LOSSES[peer](), torch.full((50_000, 2), 3.0)
    for network in (lambda x, t: torch.zeros_like(x), lambda x, t: (3 - x) / (1 - t[:, None]).clamp(min=0.1)):
        # Both average the same function of the same distribution; 50,000 draws leave below 0.1 of values near 10.
        assert loss(network, x1).item() == pytest.approx(toy_loops.plain_loss(network, x1).item(), abs=0.15)
