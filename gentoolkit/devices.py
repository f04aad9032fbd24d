"""Where and how precisely things are computed: the choices behind `auto`, in one place."""

from __future__ import annotations

import ctypes
import sys
from contextlib import AbstractContextManager, nullcontext

import torch

from gentoolkit.errors import UsageError

#: Parameters of glibc's mallopt(3), from its malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3


def choose_device(name: str) -> torch.device:
    """Return the device for "auto", "cpu", "cuda" or "mps"; `auto` is CUDA, else MPS, else the CPU.

    Raises:
        UsageError: The named device is not on this machine.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, present in there.items() if present))
    if not there[name]:
        present = ", ".join(device for device, present in there.items() if present)
        raise UsageError(f"device {name!r} is not on this machine; it has {present}. Use device=auto.")
    return torch.device(name)


def has_bf16(device: torch.device) -> bool:
    """Return whether the device multiplies bf16 matrices by instructions of its own.

    With `ATEN_CPU_CAPABILITY=avx2` torch computes as on a processor that has none, and so does this say.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def choose_precision(name: str, device: torch.device) -> str:
    """Return "fp32" or "bf16" for "auto", "fp32" or "bf16"; `auto` is bf16 where the device has instructions for it."""
    return ("bf16" if has_bf16(device) else "fp32") if name == "auto" else name


def matrix_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return what an optimizer multiplies matrices in: bfloat16 only in bf16 and where there are instructions for it.

    Without them torch's bf16 products are tens of times slower than its float32 ones.
    """
    return torch.bfloat16 if precision == "bf16" and has_bf16(device) else torch.float32


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which matrix products run in bf16 (Micikevicius et al. 2018), or a null one for fp32."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def keep_freed_memory(threshold: int = 2**30) -> None:
    """Let the C library keep freed blocks of up to `threshold` bytes for the next ones, to the end of the process.

    glibc by itself takes each block of 32 MiB or more from the system and gives it back when it is freed, and the
    system clears every page anew, as for a large layer's outputs in each step; `make bench` measures what that costs.
    Other C libraries than glibc are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, threshold)
        mallopt(TRIM_THRESHOLD, -1)  # never
