"""How many threads a training takes: one where its steps are small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

#: Operations of a training step below which it takes one thread. There a second one gains little on an idle machine; on a
#: busy one every operation waits until both have a core, for up to 90 times as long (`python -m benchmarks.threads`).
SMALL_STEP = 1e8


class Operations(TorchDispatchMode):
    """Counts, while it is entered, the multiplications and additions of matrix products and convolutions."""

    def __init__(self) -> None:
        self.count = 0
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation."""
        made = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.count += count(*args, **(kwargs or {}), out_val=made)
        return made


@contextmanager
def threads_for(operations: float, device: torch.device) -> Iterator[None]:
    """Compute in one thread in the block where a step on the CPU has fewer than `SMALL_STEP` operations."""
    threads = torch.get_num_threads()
    if device.type == "cpu" and operations < SMALL_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
