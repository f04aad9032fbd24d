"""Muon on row blocks, AdamW on the rest."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from gentoolkit.errors import UsageError
from gentoolkit.settings import TrainSettings
from gentoolkit.training.optimizers import Optimizers, without_compiler


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.joint = nn.Parameter(torch.randn(12, 4, generator=generator))
        self.bias = nn.Parameter(torch.randn(5, generator=generator))

    def matrix_blocks(self):
        return {"joint": 3}


def optimizers(network, **settings):
    named = {f"backbone.{name}": parameter for name, parameter in network.named_parameters()}
    return Optimizers(network, named, TrainSettings(steps=1, **settings))


def set_gradients(network, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_muon_orthogonalizes_q_k_and_v_by_themselves():
    network = TwoLayers()
    before = network.joint.detach().clone()
    set_gradients(network)
    optimizers(network, optimizer="muon", weight_decay=0.0, matrix_learning_rate=0.1).step(1.0)
    update = (before - network.joint.detach()) / 0.1
    for block in update.chunk(3):
        values = torch.linalg.svdvals(block)
        # The quintic of five Newton-Schulz steps maps singular values from 0.01 up into [0.68, 1.14] (computed on a
        # grid from its coefficients 3.4445, -4.775, 2.0315); those of these matrices are larger. bf16 adds 2^-8 a step.
        assert values.min() > 0.68 - 0.03
        assert values.max() < 1.14 + 0.03


def test_what_is_no_matrix_takes_torchs_adamw():
    network, twin = TwoLayers(), TwoLayers()
    set_gradients(network), set_gradients(twin)
    optimizers(network, optimizer="muon", learning_rate=0.01, weight_decay=0.1).step(1.0)
    torch.optim.AdamW([twin.bias], lr=0.01, weight_decay=0.1).step()
    torch.testing.assert_close(network.bias, twin.bias)
    assert not torch.equal(network.joint, twin.joint)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_muon_averages_gradients_by_its_momentum(momentum):
    network = TwoLayers()
    part = optimizers(network, optimizer="muon", matrix_momentum=momentum)
    set_gradients(network)
    part.step(1.0)
    buffer = next(iter(part.parts["muon"].state.values()))["momentum_buffer"]
    torch.testing.assert_close(buffer, (1 - momentum) * network.joint.grad)


def test_muon_iterates_as_often_as_wanted():
    network, twin = TwoLayers(), TwoLayers()
    set_gradients(network), set_gradients(twin)
    optimizers(network, optimizer="muon", matrix_iterations=1).step(1.0)
    optimizers(twin, optimizer="muon").step(1.0)
    assert not torch.allclose(network.joint, twin.joint)


def test_the_rate_scales_the_peaks():
    network = TwoLayers()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    set_gradients(network)
    optimizers(network, optimizer="muon").step(0.0)
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, before[name])


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_restored_optimizer_goes_on_as_the_saved_one(kind):
    one, two = TwoLayers(), TwoLayers()
    first = optimizers(one, optimizer=kind)
    set_gradients(one, 1)
    first.step(1.0)
    tensors, numbers = first.state()
    two.load_state_dict(one.state_dict())
    second = optimizers(two, optimizer=kind)
    second.restore({name: tensor.clone() for name, tensor in tensors.items()}, dict(numbers))
    for network, optimizer in ((one, first), (two, second)):
        set_gradients(network, 2)
        optimizer.step(0.5)
    assert torch.equal(one.joint, two.joint)
    assert torch.equal(one.bias, two.bias)


def test_muon_without_matrices_is_an_error():
    with pytest.raises(UsageError, match="names no matrices"):
        optimizers(nn.ReLU(), optimizer="muon")


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
from gentoolkit.settings import TrainSettings
from gentoolkit.training.optimizers import Optimizers

class Network(torch.nn.Linear):
    def matrix_blocks(self):
        return {"weight": 1}

network = Network(3, 3)
named = {f"backbone.{name}": parameter for name, parameter in network.named_parameters()}
optimizers = Optimizers(network, named, TrainSettings(steps=1, optimizer="muon"))
network(torch.ones(2, 3)).sum().backward()
optimizers.step(1.0)
optimizers.restore(*optimizers.state())
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
