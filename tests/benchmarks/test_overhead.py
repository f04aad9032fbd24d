"""The bare loop does what `train` does, so that their times can be compared."""

import pytest
import torch

from benchmarks.overhead import BareLoop, OurLoop, compare
from benchmarks.toy import toy_model
from gentoolkit.randomness import BatchGenerator
from gentoolkit.records import Step

STEPS = 5


def model(*overrides):
    return toy_model("train.batch_size=16", "backbone.width=8", "backbone.depth=1", *overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["train.ema.decay=0.9", "train.optimizer.weight_decay=0.1", "train.clip_norm=0.01"],
        ["train.clip_norm=null", "objective.stratified=true", "train.precision=bf16"],
    ],
)
def test_both_loops_find_the_same_weights_from_the_same_draws(tmp_path, overrides):
    ours = OurLoop(model("train.schedule=constant", *overrides), tmp_path)
    bare = BareLoop(model("train.schedule=constant", *overrides))
    start = [parameter.detach().clone() for parameter in bare.parameters]
    ours.steps(STEPS, save=True)
    for step in range(STEPS):
        ((_, batch),) = ours.pairs.of_step(ours.plan, step, torch.device("cpu"))
        bare.step(batch, BatchGenerator(ours.plan.seed, "objective", step, 16))
    for before, mine, theirs in zip(start, ours.state.parameters, bare.parameters, strict=True):
        assert torch.equal(mine, theirs)
        assert not torch.equal(mine, before)
    if ours.state.ema is not None:
        for mine, theirs in zip(ours.state.ema.parameters(), bare.averages, strict=True):
            assert torch.equal(mine, theirs)


def test_our_loop_logs_every_step_and_saves_when_told_to(tmp_path):
    ours = OurLoop(model(), tmp_path)
    ours.steps(3, save=False)
    ours.steps(2, save=True)
    directory = ours.listener.directory
    assert [record.step for record in directory.records() if isinstance(record, Step)] == [1, 2, 3, 4, 5]
    assert [folder.name for folder in directory.checkpoints.iterdir()] == ["step-3"]


def test_a_row_is_a_ratio_of_the_same_steps():
    row = compare("toy", model, steps=3, rounds=2)
    assert 0 < row.smallest <= row.median <= row.largest
    assert row.note.startswith("batch 16; ")
    assert row.note.endswith("every 10000")
