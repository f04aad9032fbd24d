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


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("shape", [(5, 24), (1, 1, 24), (2, 3, 24)], ids=str)
def test_outputs_and_gradients_are_torchs(monkeypatch, wide, shape):
    monkeypatch.setattr(linear, "WIDE", wide)
    g = torch.Generator().manual_seed(1)
    x = torch.randn(shape, generator=g)
    weights = torch.randn(*shape[:-1], 10, generator=g)
    results = []
    for layer in layers():
        at = x.clone().requires_grad_()
        y = layer(at)
        (y * weights).sum().backward()
        results.append([y, at.grad, layer.weight.grad, layer.bias.grad])
    for mine, theirs in zip(*results, strict=True):
        assert mine.is_contiguous()
        # Sums of at most 24 float32 products of size up to 10 in another order: 24 · 10 · 2^-24 is 1.4e-5.
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1.5e-5)


def test_autocast_and_other_dtypes_take_torchs_way(monkeypatch):
    monkeypatch.setattr(linear, "WIDE", True)
    monkeypatch.setattr(torch.nn.functional, "conv2d", None)
    ours, torchs = layers()
    x = torch.ones(2, 24)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours(x), torchs(x))
        assert ours(x).dtype == torch.bfloat16
    assert torch.equal(ours.double()(x.double()), torchs.double()(x.double()))
