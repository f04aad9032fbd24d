"""Muon on row blocks, another optimizer on the rest; AdamW is torch's."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from building import built
from gentoolkit.errors import UsageError
from gentoolkit.protocols import TrainedParameter
from gentoolkit_optimizers.uncompiled import without_compiler


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.joint = nn.Parameter(torch.randn(12, 4, generator=generator))
        self.bias = nn.Parameter(torch.randn(5, generator=generator))


def optimizer(network, name="muon", blocks=3, **fields):
    counts = {"joint": blocks}
    given = [TrainedParameter(key, p, counts.get(key, 0), torch.float32) for key, p in network.named_parameters()]
    return built("optimizer", name, {"parameters": given}, **fields)


def set_gradients(network, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_muon_orthogonalizes_q_k_and_v_by_themselves():
    network = TwoLayers()
    before = network.joint.detach().clone()
    set_gradients(network)
    optimizer(network, weight_decay=0.0, learning_rate=0.1).step()
    update = (before - network.joint.detach()) / 0.1
    for block in update.chunk(3):
        values = torch.linalg.svdvals(block)
        # The quintic of five Newton-Schulz steps maps singular values from 0.01 up into [0.68, 1.14] (computed on a
        # grid from its coefficients 3.4445, -4.775, 2.0315); those of these matrices are larger. bf16 adds 2^-8 a step.
        assert values.min() > 0.68 - 0.03
        assert values.max() < 1.14 + 0.03


def test_what_is_no_matrix_takes_the_optimizer_in_the_slot():
    network, twin = TwoLayers(), TwoLayers()
    set_gradients(network), set_gradients(twin)
    optimizer(network, rest={"type": "adamw", "learning_rate": 0.01, "weight_decay": 0.1}).step()
    torch.optim.AdamW([twin.bias], lr=0.01, weight_decay=0.1).step()
    torch.testing.assert_close(network.bias, twin.bias)
    assert not torch.equal(network.joint, twin.joint)


def test_without_other_parameters_muon_builds_no_other_optimizer():
    network = TwoLayers()
    del network.bias
    made = optimizer(network, rest="muon")  # which would complain that there are no matrices
    assert len(made.param_groups) == 1


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_muon_averages_gradients_by_its_momentum(momentum):
    network = TwoLayers()
    made = optimizer(network, momentum=momentum)
    set_gradients(network)
    made.step()
    buffer = made.state_dict()["matrices"]["state"][0]["momentum_buffer"]
    torch.testing.assert_close(buffer, (1 - momentum) * network.joint.grad)


def test_muon_iterates_as_often_as_wanted():
    network, twin = TwoLayers(), TwoLayers()
    set_gradients(network), set_gradients(twin)
    optimizer(network, iterations=1).step()
    optimizer(twin).step()
    assert not torch.allclose(network.joint, twin.joint)


def test_muon_without_matrices_is_an_error():
    with pytest.raises(UsageError, match="the backbone names no matrices"):
        optimizer(TwoLayers(), blocks=0)


def test_without_the_compiler_the_optimizer_is_torchs():
    twins = [nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(4, 3))]
    parts = [
        kind([twin], lr=0.1, fused=True) for kind, twin in zip((AdamW, without_compiler(AdamW)), twins, strict=True)
    ]
    for seed in range(3):
        for twin, part in zip(twins, parts, strict=True):
            twin.grad = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))
            part.step()
        parts[1].load_state_dict(parts[1].state_dict())
    assert torch.equal(*twins)
    assert not torch.equal(twins[0], torch.ones(4, 3))


def test_training_does_not_import_torchs_compiler():
    """It takes most of a second, which a first step would wait for."""
    program = """
import sys, torch
from gentoolkit.plugins import load_plugins
from gentoolkit.protocols import TrainedParameter
from gentoolkit.registry import build
from gentoolkit.training.optimizers import ScheduledOptimizer

network = torch.nn.Linear(3, 3)
blocks = {"weight": 1, "bias": 0}
given = [TrainedParameter(name, p, blocks[name], torch.float32) for name, p in network.named_parameters()]
config = load_plugins().registry.resolve("optimizer", "muon")
optimizer = ScheduledOptimizer(build(config, parameters=given), given)
network(torch.ones(2, 3)).sum().backward()
optimizer.step(1.0)
optimizer.restore(*optimizer.state())
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
