"""A fast linear layer for CPUs with AVX2 or AVX-512."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

#: The vector instructions that torch uses: "AVX2", "AVX512", or another name if neither is available.
INSTRUCTIONS = torch.backends.cpu.get_cpu_capability() if torch.backends.mkldnn.is_available() else "none"


class Linear(nn.Linear):
    """y = x Wᵀ + b, like `torch.nn.Linear`, but on CPUs computed as a convolution of size 1, which oneDNN runs.

    For `torch.nn.Linear`, torch uses another library, which is slower in float32 on AMD processors, and first writes b
    to all of y. On CPUs without AVX2, for other dtypes and under `torch.compile`, this layer is `torch.nn.Linear`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return y, (..., out), for x, (..., in)."""
        if INSTRUCTIONS not in ("AVX2", "AVX512") or x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        if torch.is_autocast_enabled("cpu"):
            if torch.get_autocast_dtype("cpu") != torch.bfloat16 or INSTRUCTIONS != "AVX512":
                return super().forward(x)
            bias = None if self.bias is None else self.bias.bfloat16()
            return apply(x.bfloat16(), self.weight.bfloat16(), bias)
        if x.dtype != torch.float32:
            return super().forward(x)
        # For the gradient of the weight, oneDNN is as fast as a product with AVX-512, but four times slower with AVX2.
        return (convolved if INSTRUCTIONS == "AVX512" else apply)(x, self.weight, self.bias)


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x Wᵀ + b, computed as a convolution."""
    pixels = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)  # (1, in, rows, 1), channels last
    kernel = weight[:, :, None, None].contiguous(memory_format=torch.channels_last)
    return F.conv2d(pixels, kernel, bias).permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)


def apply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x Wᵀ + b, computed as a convolution with the custom gradients of `Convolved`."""
    y: Tensor = Convolved.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return y


class Convolved(torch.autograd.Function):
    """x Wᵀ + b as a convolution, with custom gradients.

    dL/dx = (dL/dy) W is a convolution in float32 and a product in bf16; dL/dW = (dL/dy)ᵀ x is a product.
    """

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
        d_x = None
        if needs_x:
            as_product = d_out.dtype == torch.bfloat16
            d_x = (d_rows @ weight).view_as(x) if as_product else convolved(d_out, weight.T, None)
        return d_x, d_rows.mT @ rows if needs_weight else None, d_rows.sum(0) if needs_bias else None
