"""The U-Net. Shape suffixes: B batch, C channels, H height, W width, E embedding."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gentoolkit.api import Array, DataSpec, Labels

from . import UNetConfig
from .layers import EMBEDDING, Block, Conv, Down, Norm, Up


def features(t: Tensor, width: int) -> Tensor:
    """Return sines, then cosines, of t · exp(-k ln(10000) / (half - 1)) for k = 0 ... half - 1: (B, width).

    Vaswani et al. 2017, arXiv:1706.03762, Sec. 3.5, with the last frequency exactly 1/10000.
    """
    half = width // 2
    k = torch.arange(half, dtype=t.dtype, device=t.device)
    angles = t[:, None] * torch.exp(-math.log(10000) / (half - 1) * k)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class UNet(nn.Module):
    """A U-Net for images of a fixed size (Dhariwal and Nichol 2021, arXiv:2105.05233, Sec. 3 and App. A).

    Args:
        config: The config.
        spec: The data spec, with shape (C, H, W) and labels, arrays or no condition.
        needs: "second_time" for a second time as an input; "forward_derivatives" for layers that `torch.func.jvp` can
            differentiate, in place of those that are faster.
    """

    def __init__(self, config: UNetConfig, spec: DataSpec, needs: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.shape, self.patch, self.time_scale = spec.shape, config.patch_size, config.time_scale
        widths = [config.channels * multiplier for multiplier in config.multipliers]
        pixels, embedding = spec.shape[0] * self.patch**2, EMBEDDING * config.channels
        self.frequencies = config.channels // 2 * 2
        self.time = time_embedding(self.frequencies, embedding)
        self.second_time = time_embedding(self.frequencies, embedding) if "second_time" in needs else None
        self.condition = condition_embedding(spec, embedding)
        plain = "forward_derivatives" in needs

        def block(inputs: int, outputs: int, attends: bool) -> Block:
            return Block(config, inputs, outputs, attends, plain)

        self.first = Conv(pixels, widths[0])
        skips, before = [widths[0]], widths[0]
        self.descent, self.ascent = nn.ModuleList(), nn.ModuleList()
        learned = config.resampling == "learned"
        for level, width in enumerate(widths):
            attends = level in config.attention_levels
            if level:
                self.descent.append(Down(before, learned))
                skips.append(before)
            self.descent.extend(block(before if i == 0 else width, width, attends) for i in range(config.depth))
            skips += [width] * config.depth
            before = width
        self.middle = nn.ModuleList([block(before, before, True), block(before, before, False)])
        for level, width in reversed([*enumerate(widths)]):
            for _ in range(config.depth + 1):
                self.ascent.append(block(before + skips.pop(), width, level in config.attention_levels))
                before = width
            if level:
                self.ascent.append(Up(width, learned))
        # Almost zero, which trains better than large values, but not zero: some guidance divides by the output's size.
        self.norm, self.last = Norm(widths[0], config.groups, plain), Conv(widths[0], pixels, gain=0.01)

    def forward(
        self, x_t: Tensor, t: Tensor, condition: Tensor | None = None, second_time: Tensor | None = None
    ) -> Tensor:
        """Return the output, (B, C, H, W), for x_t (B, C, H, W), t (B,) in [0, 1] and labels (B,) or arrays (B, *D)."""
        c_BE = self.time(features(self.time_scale * t, self.frequencies))
        if self.second_time is not None and second_time is not None:
            c_BE = c_BE + self.second_time(features(self.time_scale * second_time, self.frequencies))
        if self.condition is not None:
            c_BE = c_BE + self.condition(condition)
        c_BE = F.silu(c_BE)
        x_BCHW = self.first(self.unshuffled(x_t))
        skips = [x_BCHW]
        for part in self.descent:
            x_BCHW = part(x_BCHW, c_BE) if isinstance(part, Block) else part(x_BCHW)
            skips.append(x_BCHW)
        for part in self.middle:
            x_BCHW = part(x_BCHW, c_BE)
        for part in self.ascent:
            if isinstance(part, Block):
                x_BCHW = part(torch.cat([x_BCHW, skips.pop()], dim=1), c_BE)
            else:
                x_BCHW = part(x_BCHW, *skips[-1].shape[2:])
        return self.shuffled(self.last(F.silu(self.norm(x_BCHW))))

    def unshuffled(self, image: Tensor) -> Tensor:
        """Return the pixels of each patch as channels, of an image with zeros on the right and below where needed."""
        right, below = -self.shape[2] % self.patch, -self.shape[1] % self.patch
        return F.pixel_unshuffle(F.pad(image, (0, right, 0, below)), self.patch)

    def shuffled(self, x_BCHW: Tensor) -> Tensor:
        """Return the image for the output of the last layer."""
        return F.pixel_shuffle(x_BCHW, self.patch)[:, :, : self.shape[1], : self.shape[2]]

    def matrix_blocks(self) -> dict[str, int]:
        """Return the inner convolutions' weights; a joint qkv weight consists of three matrices."""
        inner = [name for name, part in self.named_modules() if isinstance(part, Conv) and "." in name]
        return {f"{name}.weight": 3 if name.endswith("qkv") else 1 for name in inner}


def time_embedding(frequencies: int, width: int) -> nn.Module:
    """Return the perceptron that embeds the features of a time as (B, E)."""
    return nn.Sequential(nn.Linear(frequencies, width), nn.SiLU(), nn.Linear(width, width))


def condition_embedding(spec: DataSpec, width: int) -> nn.Module | None:
    """Return the module that embeds labels or flattened arrays as (B, E), or None for unconditional data."""
    match spec.condition:
        case Labels(num_classes, droppable):
            return nn.Embedding(num_classes + droppable, width)
        case Array(shape):
            return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), width))
        case None:
            return None
