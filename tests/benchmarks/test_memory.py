"""What a process is said to hold is its own."""

import subprocess
import sys

import pytest

from benchmarks.memory import STATUS, held

pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="memory is read from Linux's /proc")
MIB = 2**20


def child(program):
    command = [sys.executable, "-c", f"from benchmarks.memory import *; {program}"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_growth_is_what_the_steps_need_at_most_at_once():
    # Every step holds 100 MiB, lets go, and holds 40 MiB: the peak is 100. The kernel's counters are
    # exact to below 1 MiB (it adds them up in batches of pages); the interpreter's own growth is a few.
    grown = child("print(growth(lambda: [bytearray(100 * 2**20) and None, bytearray(40 * 2**20) and None], 3))")
    assert 99 * MIB < grown < 110 * MIB


def test_a_peak_before_the_first_step_is_not_counted():
    grown = child("x = bytearray(50 * 2**20); del x; print(growth(lambda: bytearray(200 * 2**20)))")
    assert 199 * MIB < grown < 210 * MIB


def test_a_child_does_not_inherit_its_parents_peak():
    ballast = bytearray(300 * MIB)
    assert child("print(held('VmHWM'))") < len(ballast) < held("VmHWM")
