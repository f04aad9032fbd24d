"""The guard fails where a ratio is beyond its bound, and only there."""

import pytest

from benchmarks import bounds
from benchmarks.bounds import violations
from benchmarks.timing import Row

SPEED = Row("steps", "plain / ours bf16", 3.0, 2.0, 4.0)
COST = Row("overhead", "ours / bare", 1.05, 1.0, 1.2)
ROWS = [SPEED, COST]
NAME, OTHER = "steps: plain / ours bf16", "overhead: ours / bare"


@pytest.mark.parametrize("limits", [{}, {NAME: {"at_least": 3.0}}, {OTHER: {"at_most": 1.05}}])
def test_what_keeps_its_bounds_passes(limits):
    assert violations(ROWS, limits, bf16=True, instructions="AVX2") == []


def test_what_breaks_one_is_told_with_its_spread_and_the_bound():
    limits = {NAME: {"at_least": 3.1}, OTHER: {"at_most": 1.04}}
    assert violations(ROWS, limits, bf16=True, instructions="AVX2") == [
        "steps: plain / ours bf16: 3 (2 to 4), expected at least 3.1",
        "overhead: ours / bare: 1.05 (1 to 1.2), expected at most 1.04",
    ]


def test_a_bound_that_names_no_row_is_a_fault_where_its_section_ran():
    (fault,) = violations(
        [COST], {"overhead: oours": {"at_most": 1}, NAME: {"at_least": 9}}, bf16=True, instructions="AVX2"
    )
    assert fault == "overhead: oours: has a bound but was not measured; it is one of overhead: ours / bare"


def test_bounds_of_bf16_wait_for_a_processor_that_has_it():
    row = Row("steps", "plain / ours fp32", 3.0, 2.0, 4.0)
    assert violations([row], {NAME: {"at_least": 9.0}}, bf16=False, instructions="AVX2") == []
    assert len(violations([row], {NAME: {"at_least": 9.0}}, bf16=True, instructions="AVX2")) == 1


@pytest.mark.parametrize(("instructions", "faults"), [("AVX512", 1), ("AVX2", 0), ("DEFAULT", 0)])
def test_bounds_go_by_the_processors_instructions(instructions, faults):
    limits = {NAME: {"at_least": {"AVX512": 3.1, "AVX2": 2.9}}}
    assert len(violations(ROWS, limits, bf16=True, instructions=instructions)) == faults


def test_the_committed_bounds_are_well_formed():
    committed = bounds.load()
    assert committed
    for name, bound in committed.items():
        assert ": " in name
        assert len(bound) == 1
        assert set(bound) <= {"at_least", "at_most"}
