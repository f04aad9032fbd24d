"""Softmax attention. Shape suffixes: B batch, N tokens, D width, H heads, d = D / H."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Maximum size of the attention weights of one block, in bytes, so that they stay in the cores' caches.
BLOCK_BYTES = 2 * 2**20
#: Maximum size of the attention weights that a call keeps for its backward pass, in bytes. Larger ones are recomputed.
KEPT_BYTES = 128 * 2**20


def attend(qkv_BN3D: Tensor, num_heads: int) -> Tensor:
    """Return softmax(q kᵀ / sqrt(d)) v for joint q, k, v, (B, N, 3·D): (B, N, D).

    Vaswani et al. 2017, arXiv:1706.03762, Eq. 1. Uses torch's fused kernel, except for bf16 on CPUs if a head fits into
    a block: there, `BlockedAttention` trains faster.
    """
    fits = qkv_BN3D.shape[1] ** 2 * qkv_BN3D.element_size() <= BLOCK_BYTES
    if fits and qkv_BN3D.device.type == "cpu" and qkv_BN3D.dtype == torch.bfloat16:
        attended_BND: Tensor = BlockedAttention.apply(qkv_BN3D, num_heads)  # type: ignore[no-untyped-call]
        return attended_BND
    q_BHNd, k_BHNd, v_BHNd = split(qkv_BN3D, 3, num_heads)
    return F.scaled_dot_product_attention(q_BHNd, k_BHNd, v_BHNd).transpose(1, 2).flatten(2)


def attend_plainly(qkv_BN3D: Tensor, num_heads: int) -> Tensor:
    """Return the same as `attend`, by operations with derivatives in forward mode."""
    q_BHNd, k_BHNd, v_BHNd = split(qkv_BN3D, 3, num_heads)
    p_BHNN = (q_BHNd @ k_BHNd.mT * q_BHNd.shape[-1] ** -0.5).softmax(dim=-1)
    return (p_BHNN @ v_BHNd).transpose(1, 2).flatten(2)


def split(x: Tensor, parts: int, num_heads: int) -> Tensor:
    """Return a view of (B, N, parts·H·d) as (parts, B, H, N, d)."""
    return x.unflatten(-1, (parts, num_heads, -1)).permute(2, 0, 3, 1, 4)


def blocks(qkv_BHNd: Tensor) -> Iterator[tuple[slice, slice]]:
    """Yield index blocks of (B, H): whole samples or some heads of one, whose weights fit into BLOCK_BYTES."""
    _, samples, num_heads, tokens, _ = qkv_BHNd.shape
    fit = BLOCK_BYTES // (tokens**2 * qkv_BHNd.element_size())  # heads
    rows, columns = max(1, fit // num_heads), min(fit, num_heads)
    for row in range(0, samples, rows):
        for column in range(0, num_heads, columns):
            yield slice(row, row + rows), slice(column, column + columns)


class BlockedAttention(torch.autograd.Function):
    """Attention in blocks of samples and heads, computed by matrix products and a softmax.

    This is the idea of Dao et al. 2022, arXiv:2205.14135, with blocks so coarse that they need no special kernel. With
    S = q kᵀ / sqrt(d), P = softmax(S), O = P v (their App. B.2): dv = Pᵀ dO, dP = dO vᵀ,
    dS = P ∘ (dP - rowsum(P ∘ dP)), dq = dS k / sqrt(d), dk = dSᵀ q / sqrt(d).
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, num_heads: int) -> Tensor:  # noqa: D102
        out = qkv.new_empty(*qkv.shape[:2], qkv.shape[2] // 3)
        parts, outs = split(qkv, 3, num_heads), split(out, 1, num_heads)[0]
        kept: list[Tensor] = []
        keeps = ctx.needs_input_grad[0] and outs[..., 0].numel() * outs.shape[3] * 2 <= KEPT_BYTES
        for rows, columns in blocks(parts):
            q, k, v = scaled(parts[:, rows, columns])
            p = (q @ k.mT).softmax(dim=-1)
            outs[rows, columns] = (p @ v).view_as(outs[rows, columns])
            kept += [q, k, v, p] if keeps else []
        ctx.save_for_backward(*kept if keeps else [qkv])
        ctx.shape, ctx.num_heads = qkv.shape, num_heads
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, None]:  # noqa: D102
        d_qkv = d_out.new_empty(ctx.shape)
        d_parts, d_outs = split(d_qkv, 3, ctx.num_heads), split(d_out, 1, ctx.num_heads)[0]
        saved = ctx.saved_tensors
        for i, (rows, columns) in enumerate(blocks(d_parts)):
            if len(saved) > 1:
                q, k, v, p = saved[4 * i : 4 * i + 4]
            else:
                q, k, v = scaled(split(saved[0], 3, ctx.num_heads)[:, rows, columns])
                p = (q @ k.mT).softmax(dim=-1)
            d_o = d_outs[rows, columns].flatten(0, 1)
            d_s = torch.ops.aten._softmax_backward_data(d_o @ v.mT, p, -1, p.dtype)
            d_block = d_parts[:, rows, columns]
            d_block[0] = (d_s @ k * q.shape[-1] ** -0.5).view_as(d_block[0])
            d_block[1] = (d_s.mT @ q).view_as(d_block[1])  # this q is scaled
            d_block[2] = (p.mT @ d_o).view_as(d_block[2])
        return d_qkv, None


def scaled(qkv_BHNd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return q / sqrt(d), k and v from (3, B, H, N, d), each contiguous and with B and H merged into one axis."""
    q, k, v = (part.flatten(0, 1) for part in qkv_BHNd)
    return q * q.shape[-1] ** -0.5, k, v
