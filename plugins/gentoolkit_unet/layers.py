"""Layers of the U-Net. Shape suffixes: B batch, C channels, H height, W width, E embedding, N pixels, d head width."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from . import UNetConfig

#: Width of the embedding of time and condition, as a multiple of the first level's.
EMBEDDING = 4


class Conv(nn.Module):
    """A convolution with zero padding. Its weight is a matrix, (outputs, inputs · size · size), as Muon requires.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        size: Odd side length of the kernel.
        stride: Distance of neighboring outputs. Sizes that it does not divide are rounded up.
        gain: Factor of the initial weight, which is drawn like that of `torch.nn.Conv2d`.
    """

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        self.kernel, self.stride = (inputs, size, size), stride
        bound = gain / math.sqrt(math.prod(self.kernel))
        self.weight = nn.Parameter(torch.empty(outputs, math.prod(self.kernel)).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the output, (B, outputs, H / stride, W / stride)."""
        kernel = self.weight.unflatten(1, self.kernel)
        return F.conv2d(x_BCHW, kernel, self.bias, self.stride, self.kernel[-1] // 2)


def group_norm(x_BCHW: Tensor, groups: int, modulation_BM: Tensor, plain: bool) -> Tensor:
    """Return norm(x) · (1 + scale) + shift, with a scale and shift for each sample (adaptive group norm).

    Dhariwal and Nichol 2021, arXiv:2105.05233, Sec. 3.

    Args:
        x_BCHW: The input.
        groups: Number of groups of channels, each of which is normalized by itself.
        modulation_BM: The scale of each channel, then the shift of each channel, (B, 2 · C).
        plain: Whether to use operations with derivatives in forward mode.
    """
    dtype = torch.promote_types(modulation_BM.dtype, torch.float32)  # float32 where the rest is bf16
    scale_BC, shift_BC = modulation_BM.to(dtype).chunk(2, dim=1)
    if plain:
        grouped_BGN = x_BCHW.reshape(len(x_BCHW), groups, -1)
        normal = F.layer_norm(grouped_BGN, grouped_BGN.shape[2:]).view(x_BCHW.shape)
        return torch.addcmul(shift_BC[..., None, None], normal, 1 + scale_BC[..., None, None])
    # torch's group norm takes one scale for each channel. Merged with channels, each sample has its own.
    merged = x_BCHW.reshape(1, -1, *x_BCHW.shape[2:])
    normal = F.group_norm(merged, len(x_BCHW) * groups, 1 + scale_BC.flatten(), shift_BC.flatten())
    return normal.view(x_BCHW.shape)


class Norm(nn.Module):
    """Group norm with a learned scale and shift."""

    def __init__(self, channels: int, groups: int, plain: bool) -> None:
        super().__init__()
        self.groups, self.plain = groups, plain
        self.modulation = nn.Parameter(torch.zeros(2 * channels))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return norm(x) · (1 + scale) + shift."""
        return group_norm(x_BCHW, self.groups, self.modulation.expand(len(x_BCHW), -1), self.plain)


class Attention(nn.Module):
    """Multi-head self-attention of the pixels, added to the input (Vaswani et al. 2017, arXiv:1706.03762, Eq. 1).

    Args:
        channels: Number of channels.
        head_channels: Width of each head.
        groups: Number of groups of the norm.
        plain: Whether to use operations with derivatives in forward mode.
    """

    def __init__(self, channels: int, head_channels: int, groups: int, plain: bool = False) -> None:
        super().__init__()
        self.heads, self.plain = channels // head_channels, plain
        self.norm = Norm(channels, groups, plain)
        self.qkv, self.out = Conv(channels, 3 * channels, size=1), Conv(channels, channels, size=1, gain=0.0)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return x plus the attention's output, (B, C, H, W)."""
        qkv_BCN = self.qkv(self.norm(x_BCHW)).flatten(2)
        q_BHNd, k_BHNd, v_BHNd = qkv_BCN.unflatten(1, (3, self.heads, -1)).mT.unbind(1)
        if self.plain:
            weights_BHNN = (q_BHNd @ k_BHNd.mT * q_BHNd.shape[-1] ** -0.5).softmax(dim=-1)
            attended_BHNd = weights_BHNN @ v_BHNd
        else:
            attended_BHNd = F.scaled_dot_product_attention(q_BHNd, k_BHNd, v_BHNd)
        return x_BCHW + self.out(attended_BHNd.mT.reshape(x_BCHW.shape))


class Block(nn.Module):
    """A residual block with adaptive group norm, with or without attention after it.

    Dhariwal and Nichol 2021, arXiv:2105.05233, Sec. 3. The second convolution starts at zero.

    Args:
        config: The config.
        inputs: Number of input channels.
        outputs: Number of output channels.
        attends: Whether attention follows.
        plain: Whether to use operations with derivatives in forward mode.
    """

    def __init__(self, config: UNetConfig, inputs: int, outputs: int, attends: bool, plain: bool) -> None:
        super().__init__()
        self.groups, self.dropout, self.saves_memory = config.groups, config.dropout, config.checkpoint_blocks
        self.plain, self.norm, self.first = plain, Norm(inputs, config.groups, plain), Conv(inputs, outputs)
        self.modulation = nn.Linear(EMBEDDING * config.channels, 2 * outputs)
        self.second = Conv(outputs, outputs, gain=0.0)
        self.skip = Conv(inputs, outputs, size=1) if inputs != outputs else nn.Identity()
        attention = Attention(outputs, config.head_channels, config.groups, plain) if attends else nn.Identity()
        self.attention = attention

    def forward(self, x_BCHW: Tensor, c_BE: Tensor) -> Tensor:
        """Return the output, (B, outputs, H, W), for x and the embedded time and condition."""
        if self.saves_memory and self.training:
            out_BCHW: Tensor = checkpoint(self.compute, x_BCHW, c_BE, use_reentrant=False)
            return out_BCHW
        return self.compute(x_BCHW, c_BE)

    def compute(self, x_BCHW: Tensor, c_BE: Tensor) -> Tensor:
        """Return the output and keep all that its gradients need."""
        h_BCHW = self.first(F.silu(self.norm(x_BCHW)))
        h_BCHW = F.silu(group_norm(h_BCHW, self.groups, self.modulation(c_BE), self.plain))
        h_BCHW = F.dropout(h_BCHW, self.dropout, self.training)
        return self.attention(self.skip(x_BCHW) + self.second(h_BCHW))


class Down(nn.Module):
    """Half the resolution, rounded up: a convolution of stride 2, or the average of 2 x 2 pixels."""

    def __init__(self, channels: int, learned: bool) -> None:
        super().__init__()
        self.conv = Conv(channels, channels, stride=2) if learned else None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the output, (B, C, H / 2, W / 2)."""
        if self.conv is not None:
            return self.conv(x_BCHW)
        return F.avg_pool2d(x_BCHW, 2, ceil_mode=True, count_include_pad=False)


class Up(nn.Module):
    """Twice the resolution, cropped: each pixel is repeated, and a convolution follows if it is learned."""

    def __init__(self, channels: int, learned: bool) -> None:
        super().__init__()
        self.conv = Conv(channels, channels) if learned else nn.Identity()

    def forward(self, x_BCHW: Tensor, height: int, width: int) -> Tensor:
        """Return the output, (B, C, height, width)."""
        return self.conv(F.interpolate(x_BCHW, scale_factor=2.0)[:, :, :height, :width])
