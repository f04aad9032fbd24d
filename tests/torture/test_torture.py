"""A few rounds of torture. In a process of its own: it forks, which a process that has computed had better not do."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_few_rounds():
    """The seed is another one each time. Where a round fails, `--seed` and `--only` with what it prints repeat it."""
    seed = secrets.randbelow(2**32)
    command = [sys.executable, "-m", "torture", "--rounds", "22", "--seed", str(seed)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False, timeout=3600)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    assert f"22 rounds, 0 failed, seed {seed}" in done.stdout
