"""The number of threads for training: one if its steps are small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

#: Number of operations per training step below which training uses one thread. For such steps a second thread gains
#: little on an idle machine. On a busy one, each layer waits until both threads have a
#: core, which makes training many times as slow.
SMALL_STEP = 1e9


class Operations:
    """Context manager that counts the multiplications and additions of linear and convolutional layers.

    torch's own FlopCounterMode imports torch's compiler, which a first step would wait for.
    """

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Operations:
        self._handle = register_module_forward_hook(self._add)
        return self

    def __exit__(self, *error: object) -> None:
        self._handle.remove()

    def _add(self, module: nn.Module, inputs: Any, output: Any) -> None:
        weight = getattr(module, "weight", None)
        if not (isinstance(weight, Tensor) and isinstance(output, Tensor)):
            return
        if weight.ndim >= 2 and not isinstance(module, nn.Embedding):
            self.count += 2 * output.numel() * weight[0].numel()


@contextmanager
def threads_for(operations: float, device: torch.device) -> Iterator[None]:
    """Use one thread within the block if a training step on the CPU has fewer than `SMALL_STEP` operations."""
    threads = torch.get_num_threads()
    if device.type == "cpu" and operations < SMALL_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
