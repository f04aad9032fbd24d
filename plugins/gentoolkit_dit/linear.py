"""The quickest linear layer for float32 on CPUs with AVX-512."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Whether oneDNN's float32 kernels have AVX-512; torch's own products, by another library, may be slower (as on AMD).
WIDE = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"


class Linear(nn.Linear):
    """y = x Wᵀ + b, like torch's; in float32 as a convolution of size 1, which torch gives to oneDNN."""

    def forward(self, x: Tensor) -> Tensor:
        """Return y, (..., out), for x, (..., in)."""
        if not (WIDE and x.dtype == torch.float32 and x.device.type == "cpu") or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        pixels = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)  # (1, in, rows, 1), channels last
        kernel = self.weight[:, :, None, None].contiguous(memory_format=torch.channels_last)
        return F.conv2d(pixels, kernel, self.bias).permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)
