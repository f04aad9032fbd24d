"""The diffusion transformer. Shape suffixes: B batch, N tokens, D hidden width, H heads, P patch, C channels."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gentoolkit.api import Array, DataSpec, Labels

from . import DiTConfig
from .attention import attend, attend_plainly
from .linear import Linear


def features(t: Tensor, width: int) -> Tensor:
    """Return sines, then cosines, of t · exp(-k ln(10000) / (half - 1)) for k = 0 ... half - 1: (B, width).

    Vaswani et al. 2017, arXiv:1706.03762, Sec. 3.5, with the last frequency exactly 1/10000.
    """
    half = width // 2
    k = torch.arange(half, dtype=t.dtype, device=t.device)
    angles = t[:, None] * torch.exp(-math.log(10000) / (half - 1) * k)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def normal_positions(rows: int, columns: int, width: int) -> Tensor:
    """Return draws from N(0, 0.02²) of the global generator, (1, rows · columns, width)."""
    return 0.02 * torch.randn(1, rows * columns, width)


def sincos_positions(rows: int, columns: int, width: int) -> Tensor:
    """Return half the features of the row beside half those of the column, (1, rows · columns, width).

    Peebles and Xie 2023, arXiv:2212.09748, Sec. 3.2. Used only for initialization; the embedding is trained. Halving
    makes them about as large as embedded patches of unit variance.
    """
    row, column = (0.5 * features(torch.arange(float(n)), width // 2) for n in (rows, columns))
    both = torch.cat([row[:, None].expand(-1, columns, -1), column.expand(rows, -1, -1)], dim=2)
    return both.reshape(1, rows * columns, width)


POSITIONS = {"normal": normal_positions, "sincos": sincos_positions}


def modulate(x_BND: Tensor, scale_BD: Tensor, shift_BD: Tensor) -> Tensor:
    """Return x · (1 + scale) + shift, with the same scale and shift for all tokens of a sample."""
    return torch.addcmul(shift_BD[:, None], x_BND, 1 + scale_BD[:, None])


def normalize(x_BND: Tensor) -> Tensor:
    """Return the tokens normalized over the width, without learned scale or shift."""
    return F.layer_norm(x_BND, x_BND.shape[-1:], eps=1e-6)


class Attention(nn.Module):
    """Multi-head self-attention with a joint qkv projection (Vaswani et al. 2017, arXiv:1706.03762, Eq. 1)."""

    def __init__(self, hidden_size: int, num_heads: int, plain: bool = False) -> None:
        super().__init__()
        self.num_heads, self.attend = num_heads, attend_plainly if plain else attend
        linear = nn.Linear if plain else Linear
        self.qkv = linear(hidden_size, 3 * hidden_size)
        self.out = linear(hidden_size, hidden_size)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, x_BND: Tensor) -> Tensor:
        """Return softmax(q kᵀ / sqrt(D / H)) v, projected, (B, N, D)."""
        return self.out(self.attend(self.qkv(x_BND), self.num_heads))


class Block(nn.Module):
    """A transformer block whose branches are scaled, shifted and gated by the condition (adaLN-Zero).

    Peebles and Xie 2023, arXiv:2212.09748, Sec. 3.2: the modulation starts at zero, so the block is the identity.
    """

    def __init__(self, hidden_size: int, num_heads: int, mlp_ratio: int, plain: bool = False) -> None:
        super().__init__()
        linear = nn.Linear if plain else Linear
        self.attention = Attention(hidden_size, num_heads, plain)
        self.mlp = nn.Sequential(
            linear(hidden_size, mlp_ratio * hidden_size), nn.GELU(), linear(mlp_ratio * hidden_size, hidden_size)
        )
        self.modulation = linear(hidden_size, 6 * hidden_size)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x_BND: Tensor, c_BD: Tensor) -> Tensor:
        """Return the output, (B, N, D): add gate · attention(...) to x, then gate · mlp(...)."""
        scale_a, shift_a, gate_a, scale_m, shift_m, gate_m = self.modulation(F.silu(c_BD)).chunk(6, dim=1)
        x_BND = torch.addcmul(x_BND, gate_a[:, None], self.attention(modulate(normalize(x_BND), scale_a, shift_a)))
        return torch.addcmul(x_BND, gate_m[:, None], self.mlp(modulate(normalize(x_BND), scale_m, shift_m)))


class DiT(nn.Module):
    """A diffusion transformer for images of a fixed size, square or not.

    Args:
        config: The config.
        spec: The data spec, with shape (C, H, W) and labels, arrays or no condition.
        needs: "second_time" for a second time as an input; "forward_derivatives" for layers that `torch.func.jvp` can
            differentiate, in place of those that are faster on CPUs.
    """

    def __init__(self, config: DiTConfig, spec: DataSpec, needs: frozenset[str] = frozenset()) -> None:
        super().__init__()
        plain = "forward_derivatives" in needs
        linear = nn.Linear if plain else Linear
        channels, height, width = spec.shape
        hidden, self.patch = config.hidden_size, config.patch_size
        self.grid = (height // self.patch, width // self.patch)
        self.hidden_size, self.channels, self.time_scale = hidden, channels, config.time_scale
        self.patchify = linear(self.patch**2 * channels, hidden)
        self.position = nn.Parameter(POSITIONS[config.position](*self.grid, hidden))
        self.time = nn.Sequential(linear(hidden, hidden), nn.GELU(), linear(hidden, hidden))
        self.second_time = None
        if "second_time" in needs:
            self.second_time = nn.Sequential(linear(hidden, hidden), nn.GELU(), linear(hidden, hidden))
        self.condition = condition_embedding(spec, hidden, linear)
        self.blocks = nn.ModuleList(
            Block(hidden, config.num_heads, config.mlp_ratio, plain) for _ in range(config.depth)
        )
        self.final_modulation = linear(hidden, 2 * hidden)
        self.head = linear(hidden, self.patch**2 * channels)
        nn.init.zeros_(self.final_modulation.weight)
        nn.init.zeros_(self.final_modulation.bias)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(
        self,
        x_t: Tensor,
        t: Tensor,
        condition: Tensor | None = None,
        tokens: Tensor | None = None,
        second_time: Tensor | None = None,
    ) -> Tensor:
        """Return the output, (B, C, H, W), for x_t (B, C, H, W), t (B,) in [0, 1] and labels (B,) or arrays (B, *D).

        With `tokens`, (B, K) int64, only these patches are used and returned: (B, K, C·P·P).
        """
        patches_BNP = self.patches(x_t)
        if tokens is not None:
            patches_BNP = patches_BNP.take_along_dim(tokens[..., None], dim=1)
        position_BND = self.position if tokens is None else F.embedding(tokens, self.position[0])
        x_BND = self.patchify(patches_BNP)
        x_BND = x_BND + position_BND.to(x_BND.dtype)  # under autocast, keeps the tokens in bf16 throughout
        c_BD = self.time(features(self.time_scale * t, self.hidden_size))
        if self.second_time is not None and second_time is not None:
            c_BD = c_BD + self.second_time(features(self.time_scale * second_time, self.hidden_size))
        if self.condition is not None:
            c_BD = c_BD + self.condition(condition)
        for block in self.blocks:
            x_BND = block(x_BND, c_BD)
        scale, shift = self.final_modulation(F.silu(c_BD)).chunk(2, dim=1)
        output = self.head(modulate(normalize(x_BND), scale, shift))
        return self.unpatchify(output) if tokens is None else output

    def patches(self, image: Tensor) -> Tensor:
        """Return the patches of (B, C, H, W) in row-major order, each flattened from (C, P, P): (B, N, C·P·P)."""
        return F.unfold(image, self.patch, stride=self.patch).transpose(1, 2)

    def unpatchify(self, tokens: Tensor) -> Tensor:
        """Return the image, (B, C, H, W), from tokens (B, N, C·P·P), each flattened from (C, P, P)."""
        rows, columns = self.grid
        patches = tokens.unflatten(2, (self.channels, self.patch, self.patch)).unflatten(1, (rows, columns))
        return patches.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)

    def matrix_blocks(self) -> dict[str, int]:
        """Return the attention and MLP weights of the blocks; a joint qkv weight consists of three matrices."""
        weights = {"attention.qkv": 3, "attention.out": 1, "mlp.0": 1, "mlp.2": 1}
        return {f"blocks.{i}.{name}.weight": n for i in range(len(self.blocks)) for name, n in weights.items()}


def condition_embedding(spec: DataSpec, hidden_size: int, linear: type[nn.Linear]) -> nn.Module | None:
    """Return the module that embeds labels or flattened arrays as (B, D), or None for unconditional data."""
    match spec.condition:
        case Labels(num_classes, droppable):
            return nn.Embedding(num_classes + droppable, hidden_size)
        case Array(shape):
            return nn.Sequential(nn.Flatten(), linear(math.prod(shape), hidden_size))
        case None:
            return None
