"""Devices: what freed memory costs."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from gentoolkit.devices import keep_freed_memory
if {keep}:
    keep_freed_memory()
for turn in range(20):
    if turn == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(keep: bool) -> int:
    """Return the page faults of filling 64 MiB ten times, each time newly allocated, once the process has settled."""
    command = [sys.executable, "-c", FAULTS.format(keep=keep)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_kept_memory_is_used_again_without_page_faults() -> None:
    # Mapped anew each time: at least 10 times the 32 pages of 2 MiB, the largest usual size. Kept: none.
    assert page_faults(keep=False) >= 320
    assert page_faults(keep=True) < 32
