"""Blocked attention against torch's own, its derivatives, and its blocks."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from gentoolkit.randomness import forked
from gentoolkit_dit import attention
from gentoolkit_dit.attention import BlockedAttention, attend, blocks, split

HEADS, TOKENS = 4, 5
ONE_HEAD = TOKENS**2 * 8  # bytes of a head's weights in float64


def joint(samples=3, tokens=TOKENS, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    return torch.randn(samples, tokens, 3 * HEADS * 2, dtype=torch.float64, generator=g).to(dtype)


def blocked(qkv):
    return BlockedAttention.apply(qkv, HEADS)


def fused(qkv):
    return F.scaled_dot_product_attention(*split(qkv, 3, HEADS)).transpose(1, 2).flatten(2)


@pytest.fixture(params=[1, 3, 4, 8, 99], ids=lambda heads: f"{heads} heads a block")
def block_bytes(request, monkeypatch):
    monkeypatch.setattr(attention, "BLOCK_BYTES", request.param * ONE_HEAD)


@pytest.mark.usefixtures("block_bytes")
def test_blocks_give_what_torchs_kernel_gives():
    torch.testing.assert_close(blocked(joint()), fused(joint()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kept_bytes", [0, 2**20], ids=["computed again", "kept"])
@pytest.mark.usefixtures("block_bytes")
def test_the_derivative_is_that_of_the_function(monkeypatch, kept_bytes):
    monkeypatch.setattr(attention, "KEPT_BYTES", kept_bytes)
    with forked(0, "gradcheck draws"):
        assert gradcheck(blocked, (joint(samples=2).requires_grad_(),))


@pytest.mark.parametrize(("kept_bytes", "count"), [(0, 1), (2**20, 3 * 4)], ids=["computed again", "kept"])
def test_weights_are_kept_only_below_the_limit(monkeypatch, kept_bytes, count):
    monkeypatch.setattr(attention, "KEPT_BYTES", kept_bytes)
    monkeypatch.setattr(attention, "BLOCK_BYTES", HEADS * ONE_HEAD)  # a sample a block
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        blocked(joint(samples=3).requires_grad_())
    assert len(saved) == count  # the joint q, k, v; or q, k, v and the weights of each block
    assert not BlockedAttention.apply(joint(), HEADS).requires_grad


def test_a_second_derivative_is_refused_and_not_wrong():
    qkv = joint().requires_grad_()
    (first,) = torch.autograd.grad(blocked(qkv).square().sum(), qkv, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@pytest.mark.usefixtures("block_bytes")
def test_blocks_meet_every_sample_and_head_once_and_fit():
    parts = split(joint(samples=7), 3, HEADS)
    seen = torch.zeros(parts.shape[1:3])
    for block in blocks(parts):
        seen[block] += 1
        assert seen[block].numel() * ONE_HEAD <= attention.BLOCK_BYTES
    assert (seen == 1).all()


@pytest.mark.parametrize(
    ("dtype", "tokens", "expected"),
    [(torch.float32, 5, False), (torch.bfloat16, 5, True), (torch.bfloat16, 1024, True), (torch.bfloat16, 1025, False)],
)
def test_blocks_are_for_bf16_where_a_head_fits(dtype, tokens, expected):
    made_by = attend(joint(1, tokens, dtype).requires_grad_(), HEADS).grad_fn
    assert ("BlockedAttention" in made_by.name()) is expected


def test_bf16_is_rounded_and_no_more():
    qkv = joint(dtype=torch.bfloat16)
    # bf16 has 8 bits: the scaled q, the scores (below 8), the weights and the result are rounded by 2^-9 each of
    # themselves, which moves a score by at most 2 · 8 · 2^-9 = 2^-5, a weight by as much relatively, and the result
    # by at most 2^-5 + 2 · 2^-9 of |v| < 4.
    torch.testing.assert_close(attend(qkv, HEADS).double(), fused(qkv.double()), rtol=0, atol=4 * (2**-5 + 2**-8))
