"""The reference recipe as a plain script would have it: fp32, nn.MultiheadAttention, autograd, AdamW, no tricks.

Attention is called as `attention(h, h, h)`, the module's own default, which forms the weights of all heads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.reference import endless


class PlainBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        scale1, shift1, gate1, scale2, shift2, gate2 = self.modulation(c).unsqueeze(1).chunk(6, dim=2)
        h = self.norm1(x) * (1 + scale1) + shift1
        x = x + gate1 * self.attention(h, h, h)[0]
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)


class PlainDiT(nn.Module):
    """4 x 32 x 32 images, patch 2, width 256, 6 blocks, 8 heads, 4 classes: 7,439,120 parameters."""

    def __init__(self, width: int = 256, depth: int = 6, heads: int = 8) -> None:
        super().__init__()
        self.patch = nn.Conv2d(4, width, 2, 2)
        self.position = nn.Parameter(0.02 * torch.randn(1, 256, width))
        self.time = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.label = nn.Embedding(4, width)
        self.blocks = nn.ModuleList(PlainBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.head = nn.Linear(width, 16)
        self.width = width

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        half = self.width // 2
        frequencies = torch.exp(-math.log(10000) / (half - 1) * torch.arange(half))
        angles = t[:, None] * frequencies
        c = self.time(torch.cat([angles.sin(), angles.cos()], 1)) + self.label(label)
        x = self.patch(x).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            x = block(x, c)
        scale, shift = self.modulation(c).unsqueeze(1).chunk(2, dim=2)
        x = self.head(self.norm(x) * (1 + scale) + shift)
        return x.reshape(-1, 16, 16, 4, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(-1, 4, 32, 32)


class PlainTraining:
    """One optimizer step at a time."""

    def __init__(self, data: TensorDataset, batch_size: int) -> None:
        self.model = PlainDiT()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, weight_decay=1e-4)
        self.batches = endless(DataLoader(data, batch_size, shuffle=True, drop_last=True))

    def step(self) -> None:
        x1, label = next(self.batches)
        x0, t = torch.randn_like(x1), torch.rand(len(x1))
        x_t = x0 + t[:, None, None, None] * (x1 - x0)
        loss = ((self.model(x_t, t, label) - (x1 - x0)) ** 2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        loss.item()


@torch.no_grad()
def plain_sample(model: PlainDiT, label: Tensor, num_steps: int) -> Tensor:
    """Return one sample for each label, (B, 4, 32, 32), by `num_steps` equal Euler steps; `model` is in eval mode."""
    x = torch.randn(len(label), 4, 32, 32)
    for k in range(num_steps):
        t = torch.full((len(label),), k / num_steps)
        x = x + model(x, t, label) / num_steps
    return x
