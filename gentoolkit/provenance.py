"""What made a run, so that it can be made again."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def collect(
    recipe_text: str,
    seed: int,
    command: Sequence[str],
    plugins: Mapping[str, str],
    device: torch.device,
    precision: str,
) -> dict[str, Any]:
    """Return the provenance of a run that starts now, as plain JSON data.

    Args:
        recipe_text: The recipe as written; its sha256 is kept.
        seed: The recipe's seed.
        command: What was typed.
        plugins: Distribution -> version of every plugin that the run uses.
        device: Where it computes.
        precision: What `auto` became.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "seed": seed,
        "recipe_sha256": hashlib.sha256(recipe_text.encode()).hexdigest(),
        "git": git_state(Path.cwd()),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": version("numpy"),
            "gentoolkit": version("gentoolkit"),
            **plugins,
        },
        "hardware": hardware(device),
        "precision": precision,
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the checkout around `folder` and whether it has changes; None outside one."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def hardware(device: torch.device) -> dict[str, Any]:
    """Return the processor, its threads, and the accelerator if one is used."""
    return {
        "platform": f"{sys.platform} {platform.machine()}",
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def processor_name() -> str:
    """Return the processor's own name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def peak_memory_mib(device: torch.device) -> float | None:
    """Return the most memory that was held so far, in MiB: the device's on CUDA, else the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
