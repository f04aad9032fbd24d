"""Choice of device and precision, including the rules behind `auto`."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gentoolkit.errors import UsageError

#: Parameters of glibc's mallopt(3), from its malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3


def choose_device(name: str) -> torch.device:
    """Return the device for "auto", "cpu", "cuda" or "mps"; `auto` selects CUDA, else MPS, else the CPU.

    Raises:
        UsageError: The device is not available on this machine.
    """
    known = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    there = [device for device, is_there in known.items() if is_there]
    if name != "auto" and name not in there:
        listed = ", ".join(there)
        raise UsageError(f"device {name!r} is not available on this machine (available: {listed}). Use device=auto.")
    return torch.device(there[0] if name == "auto" else name)


def has_bf16(device: torch.device) -> bool:
    """Return whether the device has instructions for bf16 matrix products.

    With `ATEN_CPU_CAPABILITY=avx2` torch does not use such instructions, and this returns False.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@dataclass(frozen=True)
class Placement:
    """Where networks compute, and in which precision.

    Attributes:
        device: The device.
        precision: "fp32", or "bf16" for matrix products in bf16 (Micikevicius et al. 2018, arXiv:1710.03740).
    """

    device: torch.device
    precision: str = "fp32"

    @classmethod
    def choose(cls, device: torch.device, precision: str) -> Placement:
        """Return a placement for "auto", "fp32" or "bf16"; `auto` selects bf16 on devices with bf16 instructions."""
        return cls(device, ("bf16" if has_bf16(device) else "fp32") if precision == "auto" else precision)

    @property
    def matrix_dtype(self) -> torch.dtype:
        """The dtype of an optimizer's matrix products: bfloat16 in bf16, if the device has instructions for it.

        Without them, torch's bf16 products are tens of times slower than its float32 products.
        """
        return torch.bfloat16 if self.precision == "bf16" and has_bf16(self.device) else torch.float32

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context in which networks compute in this precision."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()

    def network(self, network: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return a network that computes in this precision, and whose output has the dtype of its first argument."""

        def call(x: Tensor, *arguments: Any, **options: Any) -> Tensor:
            with self.autocast():
                output = network(x, *arguments, **options)
            return output.to(x.dtype)

        return call


def keep_freed_memory(threshold: int = 2**30) -> None:
    """Make the C library reuse freed blocks of up to `threshold` bytes, for the rest of the process.

    By default, glibc requests each block of 32 MiB or more from the system and returns it when it is freed. The system
    clears every page each time, for example for the outputs of a large layer in each step. `make bench` measures the
    cost. Other C libraries than glibc are not changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, threshold)
        mallopt(TRIM_THRESHOLD, -1)  # never
