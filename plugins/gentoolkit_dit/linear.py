"""The quickest linear layer on CPUs with AVX-512."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

#: Whether oneDNN's kernels have AVX-512.
WIDE = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"


class Linear(nn.Linear):
    """y = x Wᵀ + b, like torch's; where that is quicker, as a convolution of size 1, which torch gives to oneDNN.

    In float32 torch's own products, by another library, may be slower (as on AMD); in bf16 under autocast they are by
    oneDNN too, but write b over the whole of y before.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return y, (..., out), for x, (..., in)."""
        if not WIDE or x.device.type != "cpu":
            return super().forward(x)
        if torch.is_autocast_enabled("cpu"):
            if torch.get_autocast_dtype("cpu") != torch.bfloat16:
                return super().forward(x)
            bias = None if self.bias is None else self.bias.bfloat16()
            y: Tensor = Bf16Linear.apply(x.bfloat16(), self.weight.bfloat16(), bias)  # type: ignore[no-untyped-call]
            return y
        return convolved(x, self.weight, self.bias) if x.dtype == torch.float32 else super().forward(x)


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x Wᵀ + b as a convolution."""
    pixels = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)  # (1, in, rows, 1), channels last
    kernel = weight[:, :, None, None].contiguous(memory_format=torch.channels_last)
    return F.conv2d(pixels, kernel, bias).permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)


class Bf16Linear(torch.autograd.Function):
    """x Wᵀ + b in bf16: y as a convolution; dL/dx = (dL/dy) W and dL/dW = (dL/dy)ᵀ x as products."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: D102
        ctx.save_for_backward(x, weight)
        return convolved(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # noqa: D102
        x, weight = ctx.saved_tensors
        rows, d_rows = x.flatten(0, -2), d_out.flatten(0, -2)
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            (d_rows @ weight).view_as(x) if needs_x else None,
            d_rows.mT @ rows if needs_weight else None,
            d_rows.sum(0) if needs_bias else None,
        )
