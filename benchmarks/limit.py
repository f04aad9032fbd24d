"""The matrix products of a training step alone: what the same products by the same libraries take at least.

How the operations are counted: 2 m k n for each product (m, k) x (k, n), times its batch. A linear layer has three:
the output, the gradient of its input and that of its weight. Where the input needs no gradient (patches, features of
the time) there are two. Attention has two (q kᵀ and weights · v), and four more in its backward. Softmax, norms,
activations, biases, the optimizer and the data count nothing. `torch.utils.flop_counter` counts the same for the
plain script and for our network; a test compares.

How they are timed: `torch.mm` and `torch.bmm` into tensors allocated beforehand, in the layouts that autograd meets
(W is (out, in), never copied); in float32 each shape by one of oneDNN's convolutions instead, where the best of three
trials is quicker, with freed memory kept as in our training. The products of attention are made for one sample after
the other, whose scores stay in the caches: quicker than for all at once. Products of equal shapes share their tensors,
which are then found in the caches more often than in a real step: the limit is rather too quick than too slow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_weight

from benchmarks.timing import seconds
from gentoolkit.devices import keep_freed_memory


@dataclass(frozen=True)
class Product:
    """(batch, m, k) x (batch, k, n); a transposed operand lies in memory as (k, m) or (n, k)."""

    m: int
    k: int
    n: int
    batch: int = 1
    left_transposed: bool = False
    right_transposed: bool = False

    @property
    def flops(self) -> int:
        """Return multiplications and additions."""
        return 2 * self.batch * self.m * self.k * self.n


def linear(rows: int, fan_in: int, fan_out: int, input_gradient: bool = True) -> list[Product]:
    """Return the products of y = x Wᵀ: y, dL/dW = (dL/dy)ᵀ x and dL/dx = (dL/dy) W."""
    products = [
        Product(rows, fan_in, fan_out, right_transposed=True),
        Product(fan_out, rows, fan_in, left_transposed=True),
    ]
    return products + ([Product(rows, fan_out, fan_in)] if input_gradient else [])


def attention(batch: int, tokens: int, width: int) -> list[Product]:
    """Return the products of y = softmax(q kᵀ) v for each of `batch` heads: s = q kᵀ, y = w v, dv, dw, dq, dk."""
    return [
        Product(tokens, width, tokens, batch, right_transposed=True),
        Product(tokens, tokens, width, batch),
        Product(tokens, tokens, width, batch, left_transposed=True),
        Product(tokens, width, tokens, batch, right_transposed=True),
        Product(tokens, tokens, width, batch),
        Product(tokens, tokens, width, batch, left_transposed=True),
    ]


def step_products(
    batch_size: int, width: int = 256, depth: int = 6, heads: int = 8, tokens: int = 256, patch: int = 16
) -> list[Product]:
    """Return the products of a training step of the DiT; `patch` is the number of values in a patch."""
    rows = batch_size * tokens
    block = [
        *linear(batch_size, width, 6 * width),  # modulation
        *linear(rows, width, 3 * width),  # q, k, v
        *attention(heads, tokens, width // heads) * batch_size,
        *linear(rows, width, width),
        *linear(rows, width, 4 * width),
        *linear(rows, 4 * width, width),
    ]
    return [
        *linear(rows, patch, width, input_gradient=False),
        *linear(batch_size, width, width, input_gradient=False),  # features of the time
        *linear(batch_size, width, width),
        *block * depth,
        *linear(batch_size, width, 2 * width),  # the last modulation
        *linear(rows, width, patch),
    ]


def flops(products: list[Product]) -> int:
    """Return the operations of all of them."""
    return sum(product.flops for product in products)


def runner(products: list[Product], dtype: torch.dtype) -> Callable[[], None]:
    """Return what runs the products in order, on tensors that it holds."""
    keep_freed_memory()
    held: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    def operand(role: str, batch: int, rows: int, columns: int, transposed: bool = False) -> Tensor:
        shape = (batch, columns, rows) if transposed else (batch, rows, columns)
        tensor = held.setdefault((role, shape), torch.empty(shape, dtype=dtype))
        tensor = tensor.mT if transposed else tensor
        return tensor[0] if batch == 1 else tensor

    calls: dict[Product, Callable[[], object]] = {}
    for p in set(products):
        left = operand("left", p.batch, p.m, p.k, p.left_transposed)
        right = operand("right", p.batch, p.k, p.n, p.right_transposed)
        out = operand("out", p.batch, p.m, p.n)
        ways = [partial(torch.mm if p.batch == 1 else torch.bmm, left, right, out=out)]
        if p.batch == 1 and dtype == torch.float32:
            ways.append(partial(convolution, left, right))
            if p.left_transposed:
                ways.append(partial(weight_gradient, left, right))
        calls[p] = min(ways, key=best_time)
    for tensor in held.values():
        tensor.normal_(generator=torch.Generator().manual_seed(0))

    def run() -> None:
        for product in products:
            calls[product]()

    return run


def best_time(call: Callable[[], object]) -> float:
    """Return the least seconds that a call takes of three, once its memory has been touched."""
    call()
    return min(seconds(call) for _ in range(3))


def convolution(left: Tensor, right: Tensor) -> Tensor:
    """Return (m, k) x (k, n) as a convolution of size 1: by oneDNN, whose float32 can be quicker than the BLAS's."""
    kernel = right.mT[:, :, None, None].contiguous(memory_format=torch.channels_last)
    return F.conv2d(pixels(left), kernel)


def weight_gradient(left: Tensor, right: Tensor) -> Tensor:
    """Return (m, k) x (k, n), the first transposed in memory, as the gradient of such a convolution's kernel."""
    kernel_size, inputs, d_outputs = (left.shape[0], right.shape[1], 1, 1), pixels(right), pixels(left.mT)
    return conv2d_weight(inputs, kernel_size, d_outputs)


def pixels(rows: Tensor) -> Tensor:
    """Return a view of (rows, channels) as an image of one column, (1, channels, rows, 1), channels last."""
    return rows.reshape(1, -1, 1, rows.shape[1]).permute(0, 3, 1, 2)
