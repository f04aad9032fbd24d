"""The linear layer is torch's, by another way."""

import pytest
import torch
from torch import nn

from gentoolkit.randomness import forked
from gentoolkit_dit import linear
from gentoolkit_dit.linear import Linear


def layers():
    with forked(0, "test"):
        ours, torchs = Linear(24, 10), nn.Linear(24, 10)
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs


def outputs_and_gradients(layer, x, weights):
    at = x.clone().requires_grad_()
    y = layer(at)
    (y * weights).sum().backward()
    return [y, at.grad, layer.weight.grad, layer.bias.grad]


# Sums of at most 24 products of size up to 10, in float32 in another order: 24 · 10 · 2^-24 is 1.4e-5. In bf16 the sums
# are rounded to 8 bits after that, the gradients of float32 parameters too: they may differ by one step, 2^-7.
@pytest.mark.parametrize(("bf16", "rtol"), [(False, 0), (True, 2**-7)], ids=["fp32", "bf16"])
@pytest.mark.parametrize("instructions", ["none", "AVX2", "AVX512"])
@pytest.mark.parametrize("shape", [(5, 24), (1, 1, 24), (2, 3, 24)], ids=str)
def test_outputs_and_gradients_are_torchs(monkeypatch, instructions, shape, bf16, rtol):
    monkeypatch.setattr(linear, "INSTRUCTIONS", instructions)
    g = torch.Generator().manual_seed(1)
    x, weights = torch.randn(shape, generator=g), torch.randn(*shape[:-1], 10, generator=g)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        results = [outputs_and_gradients(layer, x, weights) for layer in layers()]
    for mine, theirs in zip(*results, strict=True):
        assert mine.is_contiguous()
        assert mine.dtype == theirs.dtype
        torch.testing.assert_close(mine, theirs, rtol=rtol, atol=1.5e-5)


@pytest.mark.parametrize(("instructions", "bf16"), [("AVX512", True), ("AVX512", False), ("AVX2", False)])
def test_what_needs_no_gradient_gets_none(monkeypatch, instructions, bf16):
    monkeypatch.setattr(linear, "INSTRUCTIONS", instructions)
    ours, _ = layers()
    ours.weight.requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        ours(torch.ones(2, 24)).sum().backward()
    assert ours.weight.grad is None
    assert ours.bias.grad.tolist() == [2] * 10


def test_other_dtypes_take_torchs_way(monkeypatch):
    monkeypatch.setattr(linear, "INSTRUCTIONS", "AVX512")
    monkeypatch.setattr(torch.nn.functional, "conv2d", None)
    ours, torchs = layers()
    x = torch.ones(2, 24)
    with torch.autocast("cpu", torch.float16):
        assert torch.equal(ours(x), torchs(x))
    assert torch.equal(ours.double()(x.double()), torchs.double()(x.double()))
