"""A training of small steps takes one thread, one of larger steps all of them; both leave the setting as it was."""

import pytest
import torch
from torch import nn

from gentoolkit.pipeline.threads import SMALL_STEP, Operations, threads_for
from gentoolkit.pipeline.work import Work
from gentoolkit.randomness import forked
from gentoolkit.recipe import load_recipe

CPU = torch.device("cpu")


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize(("operations", "device", "threads"), [(0.9, CPU, 1), (1.1, CPU, 3), (0.9, "meta", 3)])
def test_small_steps_take_one_thread(operations, device, threads):
    with threads_for(operations * SMALL_STEP, torch.device(device)):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_the_setting_comes_back_after_an_error():
    with pytest.raises(ZeroDivisionError), threads_for(1, CPU):
        _ = 1 / 0
    assert torch.get_num_threads() == 3


def test_linear_and_convolutional_layers_are_counted():
    with forked(0, "test"), Operations() as counted:
        nn.Linear(5, 7)(torch.ones(11, 5))
        nn.Conv2d(2, 3, 3)(torch.ones(4, 2, 6, 6))
        nn.Embedding(9, 8)(torch.arange(9))
        nn.LayerNorm(4)(torch.ones(3, 4))
    with forked(0, "test"):
        nn.Linear(5, 7)(torch.ones(11, 5))  # no more
    assert counted.count == 2 * 11 * 5 * 7 + 2 * 4 * 3 * 16 * 2 * 9


def test_the_trial_counts_what_a_step_takes():
    small = ["train.batch_size=8", "dataset.num_samples=64", "evaluate.per_class=2", "evaluate.validation_samples=2"]
    work = Work.prepare(load_recipe("recipes/smoke.yaml", small))
    whole = work.operations
    accumulated = Work.prepare(load_recipe("recipes/smoke.yaml", [*small, "train.accumulation=2"])).operations
    assert whole == 2 * accumulated
    parameters = sum(p.numel() for name, p in work.model.backbone.named_parameters() if "weight" in name)
    # Each weight takes part in at most one product for each of 16 tokens, the modulations' in one for each sample.
    assert 6 * 8 * parameters / 16 < whole < 6 * 8 * parameters * 16 * 2
