"""The loop on a small model: keyed draws, accumulation, averages, resuming, faults."""

import copy
import math
from functools import partial

import pytest
import torch
from torch import nn

from building import built, train_settings
from gentoolkit.api import DataSpec, Labels
from gentoolkit.devices import Placement
from gentoolkit.errors import GentoolError, NoCheckpointError, NonFiniteError
from gentoolkit.protocols import Batch
from gentoolkit.randomness import forked
from gentoolkit.registry import build
from gentoolkit.training import Pairs, Plan, TrainingState, train
from gentoolkit.training.loop import training_step
from gentoolkit.training.state import EpochTotals, sums_by_time
from gentoolkit_flow_matching.objective import FlowMatching

SPEC = DataSpec((2,), Labels(3, droppable=True))
CPU = torch.device("cpu")


class Points:
    """Sample i is (i, -i) / 10 with label i mod 3."""

    def __len__(self):
        return 20

    def batch(self, indices):
        i = torch.from_numpy(indices)
        return Batch(torch.stack([i, -i], dim=1).float() / 10, i % 3)


GAUSSIAN = built("source", "gaussian", {"spec": SPEC})
PAIRS = Pairs(Points(), SPEC, GAUSSIAN)


class Small(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.label = nn.Embedding(4, 8)
        self.body = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 2))
        self.register_buffer("calls", torch.zeros(()))
        self.seen = []

    def forward(self, x, t, condition=None):
        self.seen.append(condition)
        self.calls += 1
        hidden = self.body[0](torch.cat([x, t[:, None]], dim=1)) + self.label(condition)
        return self.body[1:](hidden)

    def matrix_blocks(self):
        return {"body.0.weight": 1}


class Recorder:
    """Keeps what the loop says; asks it to stop after `stop_at` steps."""

    def __init__(self, stop_at=None):
        self.records, self.checkpoints, self.validated, self.calls, self.stop_at = [], {}, [], 0, stop_at

    def record(self, record):
        self.records.append((record.event, record.to_dict()))

    def validate(self, state):
        self.validated.append(state.step)

    def checkpoint(self, state):
        self.checkpoints[state.step] = copy.deepcopy(state.checkpoint({}))

    def should_stop(self):
        self.calls += 1
        return self.calls == self.stop_at

    def steps(self):
        return [values["step"] for event, values in self.records if event == "step"]


def start(dropout=0.0, objective=None, **settings):
    given = {"steps": 9, "batch_size": 6, "optimizer": {"learning_rate": 0.01}, "precision": "fp32"}
    settings = train_settings(**{**given, **settings})
    with forked(0, "initial weights"):
        network = Small(dropout)
    optimizer = partial(build, settings.optimizer)
    state = TrainingState(network, objective or built("objective", "flow_matching"), settings, optimizer)
    return state, Plan(settings, 20, 5, build(settings.schedule))


def go(state, plan, listener=None):
    listener = listener or Recorder()
    return train(state, PAIRS, plan, listener, Placement(CPU)), listener


def one_step(state, plan):
    return training_step(state, PAIRS.of_step(plan, state.step, CPU), plan, Placement(CPU))


def weights(state):
    return torch.cat([parameter.detach().flatten() for parameter in state.weights.parameters()])


def test_training_learns():
    state, plan = start(steps=300, batch_size=20, optimizer={"learning_rate": 0.03})
    _, listener = go(state, plan)
    losses = [values["loss"] for event, values in listener.records if event == "step"]
    # Measured over five seeds: 0.46 to 0.58 of the first losses; without an optimizer step it would stay at 1.
    assert sum(losses[-50:]) / 50 < 0.75 * sum(losses[:5]) / 5


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    runs = []
    for seed in (5, 5, 6):
        state, plan = start(dropout=0.3, condition_dropout=0.5)
        go(state, Plan(plan.settings, 20, seed, plan.schedule))
        runs.append(weights(state))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("accumulation", [2, 3, 6])
def test_accumulation_changes_nothing_but_rounding(accumulation):
    results = []
    for parts in (1, accumulation):
        state, plan = start(accumulation=parts, condition_dropout=0.3, optimizer="muon")
        go(state, plan)
        results.append(weights(state))
    # Nine steps of size 0.02 at most, on gradients that differ by float32 rounding; AdamW's first steps divide by
    # |gradient|, which can turn a rounding of a tiny gradient into a part of a step: measured below 2e-6 here.
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("stop_at", [1, 3, 5, 8])
@pytest.mark.parametrize("average", [{"decay": 0.7}, {"sigma_rel": 0.1}], ids=str)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(stop_at, optimizer, average):
    settings = {"optimizer": optimizer, "ema": average, "condition_dropout": 0.2, "dropout": 0.2}
    settings["schedule"] = {"warmup_steps": 2}
    whole, plan = start(**settings)
    done, heard = go(whole, plan)
    assert done
    first, _ = start(**settings)
    done, before = go(first, plan, Recorder(stop_at=stop_at))
    assert not done
    assert first.step == stop_at
    second, _ = start(**settings)
    second.restore(before.checkpoints[stop_at])
    done, after = go(second, plan)
    assert done
    assert torch.equal(weights(whole), weights(second))
    assert all(torch.equal(a, b) for a, b in zip(whole.ema.parameters(), second.ema.parameters(), strict=True))
    assert before.records + after.records == heard.records


def test_the_average_follows_its_recursion():
    state, plan = start(ema={"decay": 0.7}, steps=3)
    expected = weights(state)
    for _ in range(3):
        one_step(state, plan)
        state.step += 1
        expected = 0.7 * expected + 0.3 * weights(state)
    average = torch.cat([parameter.flatten() for parameter in state.ema.parameters()])
    torch.testing.assert_close(average, expected)
    assert state.ema["backbone"].calls == state.backbone.calls  # buffers are copied, not averaged


def test_the_average_has_a_buffer_that_was_replaced():
    state, plan = start(ema={"decay": 0.7}, steps=2)
    one_step(state, plan)
    state.backbone.calls = state.backbone.calls + 10
    one_step(state, plan)
    assert state.ema["backbone"].calls == state.backbone.calls == 12


def test_conditions_are_dropped_to_the_null_label_as_often_as_asked():
    state, plan = start(condition_dropout=0.3, steps=500, optimizer={"learning_rate": 1e-6})
    go(state, plan)
    seen = torch.cat(state.backbone.seen)
    dropped = (seen == 3).float().mean().item()
    assert abs(dropped - 0.3) < 5 * math.sqrt(0.3 * 0.7 / len(seen))


def test_without_dropout_no_condition_is_touched():
    state, plan = start()
    go(state, plan)
    assert max(seen.max().item() for seen in state.backbone.seen) == 2


def test_gradients_are_clipped_by_their_global_norm():
    free, plan = start(clip_norm=None, steps=1)
    norm = one_step(free, plan).gradient_norm.item()
    clipped, plan = start(clip_norm=norm / 10, steps=1)
    seen = {}
    real_step = clipped.optimizer.step
    clipped.optimizer.step = lambda rate: (
        seen.update(norm=torch.cat([p.grad.flatten() for p in clipped.parameters]).norm().item()),
        real_step(rate),
    )
    result = one_step(clipped, plan)
    assert result.gradient_norm.item() == pytest.approx(norm)
    assert seen["norm"] == pytest.approx(norm / 10, rel=1e-4)


def test_every_step_and_epoch_is_recorded():
    state, plan = start(steps=7)  # three steps an epoch
    _, heard = go(state, plan)
    assert heard.steps() == list(range(1, 8))
    epochs = [values for event, values in heard.records if event == "epoch"]
    assert [(e["epoch"], e["step"]) for e in epochs] == [(1, 3), (2, 6), (3, 7)]
    losses = [values["loss"] for event, values in heard.records if event == "step"]
    assert epochs[0]["loss"] == pytest.approx(sum(losses[:3]) / 3)
    assert epochs[2]["loss"] == pytest.approx(losses[6])
    assert len(epochs[0]["velocity_error_by_t"]) == 10


@pytest.mark.parametrize("seconds", [0, 1e9])
def test_no_record_depends_on_when_the_losses_are_fetched(monkeypatch, seconds):
    """Bit for bit: one step at a time, or all of an epoch at once."""
    records = []
    for wait in (0.5, seconds):
        monkeypatch.setattr("gentoolkit.training.loop.FETCH_SECONDS", wait)
        state, plan = start(steps=40, batch_size=7, log_every=3, checkpoint_every=13)
        _, heard = go(state, plan)
        records.append(heard.records)
    assert records[0] == records[1]


def test_the_losses_of_many_steps_are_read_at_once(monkeypatch):
    monkeypatch.setattr("gentoolkit.training.loop.FETCH_SECONDS", 1e9)
    reads = []
    real = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: reads.append(tensor.shape) or real(tensor))
    monkeypatch.setattr(torch.Tensor, "item", lambda tensor: reads.append("item"))
    state, plan = start(steps=9, checkpoint_every=9)  # three steps of six samples an epoch
    go(state, plan)
    assert reads == [(3 * (3 * 6 + 1),)] * 3


def test_epochs_are_binned_by_time():
    error = torch.tensor([[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]], dtype=torch.float64)
    t = torch.tensor([[0.0, 0.05, 0.95, 1.0], [0.15, 0.15, 0.15, 0.55]], dtype=torch.float64)
    sums, counts = sums_by_time(error, t)
    assert sums.tolist() == [[3, 0, 0, 0, 0, 0, 0, 0, 0, 7], [0, 60, 0, 0, 0, 40, 0, 0, 0, 0]]
    assert counts.tolist() == [[2, 0, 0, 0, 0, 0, 0, 0, 0, 2], [0, 3, 0, 0, 0, 1, 0, 0, 0, 0]]


def test_checkpoints_and_validations_come_when_asked():
    state, plan = start(steps=9, checkpoint_every=4, validate_every=3)
    _, heard = go(state, plan)
    assert sorted(heard.checkpoints) == [4, 8, 9]
    assert heard.validated == [3, 6]  # the last step is measured by the evaluation


class Exploding(FlowMatching):
    """Its loss is not a number from step 4 on."""

    def loss(self, backbone, batch, context):
        record = super().loss(backbone, batch, context)
        return type(record)(record.loss * (math.nan if context.step >= 4 else 1), record.t)


def test_a_loss_that_is_not_finite_ends_the_run_before_it_is_saved():
    state, plan = start(objective=Exploding(**vars(built("objective", "flow_matching"))), checkpoint_every=2)
    heard = Recorder()
    with pytest.raises(NonFiniteError, match=r"step 5: loss nan") as error:
        go(state, plan, heard)
    assert error.value.exit_code == 3
    assert sorted(heard.checkpoints) == [2, 4]


def test_a_weight_that_is_not_finite_is_never_saved():
    """One step of an absurd size: loss and gradient are finite, what it leaves is not."""
    state, plan = start(optimizer={"learning_rate": 1e38, "weight_decay": 1e30}, steps=3, checkpoint_every=1)
    heard = Recorder()
    with pytest.raises(NonFiniteError, match=r"after step 1, backbone\..* is not finite; lower the learning rate"):
        go(state, plan, heard)
    assert heard.checkpoints == {}


@pytest.mark.parametrize(("value", "saved"), [(math.nan, False), (-math.inf, True)])
def test_a_buffer_that_is_not_a_number_is_never_saved_but_a_mask_may_be_infinite(value, saved):
    state, plan = start(steps=2, checkpoint_every=1)
    state.backbone.register_buffer("mask", torch.full((2,), value))
    heard = Recorder()
    if saved:
        go(state, plan, heard)
    else:
        with pytest.raises(NonFiniteError, match=r"after step 1, backbone.mask is not finite") as error:
            go(state, plan, heard)
        assert error.value.kind == "backbone"
    assert bool(heard.checkpoints) == saved


def test_weights_of_another_network_are_told():
    state, plan = start()
    _, heard = go(state, plan)
    other, _ = start()
    other.weights["backbone"].body[0] = nn.Identity()
    with pytest.raises(GentoolError, match="do not match this network"):
        other.restore(heard.checkpoints[9])


def without(group, *names):
    return lambda saved: [saved.tensors[group].pop(name) for name in names]


def put(group, name, tensor):
    return lambda saved: saved.tensors[group].update({name: tensor})


def number(name, value):
    return lambda saved: saved.numbers.update({name: value})


def optimizer_number(name, value):
    return lambda saved: saved.numbers["optimizer"].update({name: value})


TOTALS = vars(EpochTotals())
WRONG_STATES = {
    "no optimizer": (lambda saved: saved.tensors.pop("optimizer"), "no tensors for 'optimizer'"),
    "an empty optimizer": (lambda saved: saved.tensors["optimizer"].clear(), "there is no tensor 'state.0."),
    "no average": (lambda saved: saved.tensors.pop("ema"), "no tensors for 'ema'"),
    "half a state": (without("optimizer", "state.0.exp_avg"), "there is no tensor 'state.0.exp_avg'"),
    "too much state": (put("optimizer", "state.99.exp_avg", torch.zeros(1)), "'state.99.exp_avg' belongs nowhere"),
    "no parameters": (optimizer_number("parameters", []), "it belongs to other parameters"),
    "a state of text": (optimizer_number("state", {"text": "x"}), "is not a state"),
    "fewer groups": (optimizer_number("settings", {"list": []}), "can't be restored"),
    "numbers of text": (number("optimizer", "x"), "'optimizer': Input should be a valid dict"),
    "totals of text": (number("totals", "x"), "'totals'"),
    "no totals": (number("totals", {}), "'totals'"),
    "totals of nothing": (number("totals", None), "'totals'"),
    "a short total": (number("totals", {**TOTALS, "count_by_t": [1]}), "'totals'.*at least 10 items"),
    "a wrong total": (number("totals", {**TOTALS, "loss": "small"}), "'totals'.*valid number"),
    "a negative count": (number("totals", {**TOTALS, "steps": -1}), "'totals'.*greater than or equal to 0"),
}


@pytest.mark.parametrize("case", [*WRONG_STATES])
def test_a_state_that_cannot_be_right_is_refused(case):
    change, words = WRONG_STATES[case]
    state, plan = start(ema={"decay": 0.7})
    _, heard = go(state, plan, Recorder(stop_at=3))
    saved = heard.checkpoints[3].copied()
    change(saved)
    other, _ = start(ema={"decay": 0.7})
    with pytest.raises(NoCheckpointError, match=words):
        other.restore(saved)


def test_weights_of_another_type_are_refused():
    state, plan = start()
    _, heard = go(state, plan, Recorder(stop_at=3))
    saved = heard.checkpoints[3].copied()
    name, tensor = next(iter(saved.tensors["weights"].items()))
    saved.tensors["weights"][name] = tensor.half()
    with pytest.raises(GentoolError, match=r"float16 -> \(\) float32"):
        start()[0].restore(saved)


def test_a_signal_in_the_last_step_is_heard():
    state, plan = start()
    done, heard = go(state, plan, Recorder(stop_at=9))
    assert not done
    assert sorted(heard.checkpoints)[-1] == 9


class Weighted(FlowMatching, nn.Module):
    """An objective with a parameter of its own."""

    def __init__(self):
        nn.Module.__init__(self)
        vars(self).update(vars(built("objective", "flow_matching")))
        self.log_weight = nn.Parameter(torch.zeros(()))

    def loss(self, backbone, batch, context):
        record = FlowMatching.loss(self, backbone, batch, context)
        return type(record)(record.loss * self.log_weight.exp() - self.log_weight, record.t)


def test_an_objectives_own_parameters_are_trained_averaged_and_saved():
    objective = Weighted()
    state, plan = start(objective=objective, ema={"decay": 0.5})
    _, heard = go(state, plan)
    assert objective.log_weight.item() != 0
    saved = heard.checkpoints[9].tensors
    assert saved["weights"]["objective.log_weight"].item() == objective.log_weight.item()
    assert saved["ema"]["objective.log_weight"].item() not in (0.0, objective.log_weight.item())
