"""What a training step of the DiT does beside its matrix products, alone: norms, modulation, gates, GELU and softmax.

Forward and backward, by torch's own operators on tensors that it holds, with the scores of one sample at a time. Data,
biases, the optimizer and copies count nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from gentoolkit.devices import keep_freed_memory


def runner(
    batch_size: int, dtype: torch.dtype, width: int = 256, depth: int = 6, heads: int = 8, tokens: int = 256
) -> Callable[[], None]:
    """Return what runs the elementwise operations of all blocks."""
    keep_freed_memory()
    shape = (batch_size, tokens, width)
    x, hidden = torch.randn(shape, dtype=dtype), torch.randn(*shape[:2], 4 * width, dtype=dtype)
    scale, shift, gate = torch.randn(3, batch_size, 1, width, dtype=dtype)
    scores = torch.randn(heads, tokens, tokens, dtype=dtype)
    leaves = [tensor.requires_grad_() for tensor in (x, hidden, scale, shift, gate)]
    d_x, d_hidden = torch.ones_like(x), torch.ones_like(hidden)

    def branch() -> None:
        modulated = torch.addcmul(shift, F.layer_norm(x, (width,), eps=1e-6), scale)
        torch.addcmul(x, gate, modulated).backward(d_x)

    def attention_weights() -> None:
        for _ in range(batch_size):
            weights = scores.softmax(dim=-1)
            torch.ops.aten._softmax_backward_data(scores, weights, -1, dtype)

    def run() -> None:
        for _ in range(depth):
            for leaf in leaves:
                leaf.grad = None
            branch()
            branch()
            F.gelu(hidden).backward(d_hidden)
            attention_weights()

    return run
