"""The shipped schedules, against torch's own and against their formulas."""

import numpy as np
import pytest
import torch

from building import built, config


def fractions(name, total_steps, steps_per_epoch=10, **fields):
    schedule = built("schedule", name, **fields)
    return [schedule.fraction(step, total_steps, steps_per_epoch) for step in range(total_steps + 1)]


def test_cosine_by_epochs_equals_torchs_own_scheduler():
    """The reference recipe steps torch's CosineAnnealingLR(T_max=epochs) once an epoch."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
    for step, fraction in enumerate(fractions("cosine", 60, 12, per_epoch=True)[:-1]):
        assert 0.3 * fraction == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        if (step + 1) % 12 == 0:
            scheduler.step()


def test_linear_with_warm_up_rises_then_falls_to_zero():
    found = fractions("linear", 20, warmup_steps=4)
    assert found[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert np.diff(found[4:]).tolist() == pytest.approx([-1 / 16] * 16)
    assert found[20] == 0


def test_cosine_passes_its_half_in_the_middle():
    found = fractions("cosine", 10)
    assert (found[0], found[5], found[10]) == (1, pytest.approx(0.5), pytest.approx(0, abs=1e-12))


def test_constant_is_the_peak_after_its_warm_up():
    assert fractions("constant", 4) == [1] * 5
    assert fractions("constant", 4, warmup_steps=2) == [0.5, 1, 1, 1, 1]


@pytest.mark.parametrize("name", ["constant", "cosine", "linear"])
def test_a_warm_up_must_be_shorter_than_the_run(name):
    made = config("schedule", name, warmup_steps=5)
    assert [*made.check_length(6)] == []
    ((field, message),) = made.check_length(5)
    assert field == "warmup_steps"
    assert "5 steps" in message
