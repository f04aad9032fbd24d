"""The provenance of a run: what is needed to reproduce it."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from gentoolkit.devices import Placement


def collect(
    recipe_text: str, seed: int, command: Sequence[str], plugins: Mapping[str, str], placement: Placement
) -> dict[str, Any]:
    """Return the provenance of a run that starts now, as plain JSON data.

    `plugins` has the distributions of all plugins that the run uses, with their versions.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "seed": seed,
        "recipe_sha256": hashlib.sha256(recipe_text.encode()).hexdigest(),
        "git": git_state(Path.cwd()),
        "versions": versions(plugins),
        "hardware": hardware(placement.device),
        "precision": placement.precision,
    }


def versions(plugins: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of Python, of the packages that compute, and of plugins."""
    found = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "gentoolkit": version("gentoolkit"),
    }
    for extra in ("scipy", "scikit-learn", "POT"):
        with suppress(PackageNotFoundError):
            found[extra] = version(extra)
    return found | dict(plugins)


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the git checkout around `folder` and whether it is dirty, or None outside a checkout."""

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
    """Return the platform, processor, cores, threads and device."""
    return {
        "platform": f"{sys.platform} {platform.machine()}",
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def processor_name() -> str:
    """Return the model name of the processor, if the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def peak_memory_mib(device: torch.device) -> float | None:
    """Return the peak memory use so far, in MiB: of the device on CUDA, otherwise of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
