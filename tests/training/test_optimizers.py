"""The optimizer of a run: learning rates from the schedule, and a state that is kept exactly."""

import json

import pytest
import torch
from torch import nn

from gentoolkit.errors import NoCheckpointError, PluginError
from gentoolkit.protocols import TrainedParameter
from gentoolkit.states import MAX_DEPTH, flattened, rebuilt
from gentoolkit.training.checkpoints import Checkpoint, newest_checkpoint, save_checkpoint
from gentoolkit.training.optimizers import ScheduledOptimizer


class Odd(torch.optim.Optimizer):
    """State of many dtypes, under keys with dots; a group's own counter; lists in its state."""

    def __init__(self, groups, lr=0.1, decay=0.0):
        super().__init__(groups, {"lr": lr, "decay": decay, "steps": 0, "limit": float("inf"), "betas": (0.9, 0.99)})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            group["steps"] += 1
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["average.fast"] = torch.zeros_like(p, dtype=torch.bfloat16)
                    state["average.slow"] = torch.zeros_like(p, dtype=torch.float64)
                    state["count"] = torch.zeros((), dtype=torch.int64)
                    state["rows"] = [torch.zeros(p.shape[0], dtype=torch.float16), None]
                    state["signs"] = torch.zeros_like(p, dtype=torch.bool)
                state["count"] += 1
                state["average.fast"].lerp_(p.grad.bfloat16(), 0.1)
                state["average.slow"].lerp_(p.grad.double(), 0.01)
                state["rows"][0] += p.grad.reshape(len(p), -1).sum(1).half()
                state["signs"].copy_(p.grad > 0)
                step = state["average.fast"] + state["average.slow"] + state["signs"] / state["count"]
                p -= (
                    group["lr"]
                    * (step + 0.01 * state["rows"][0].view(-1, *(1,) * (p.ndim - 1)) + group["decay"]).float()
                )
                p += 1e-3 / group["steps"]


def parameters():
    draw = torch.Generator().manual_seed(0)
    shapes = {"a.b": (3, 2), "a": (4,), "b.a": (2, 2, 2)}
    return [
        TrainedParameter(name, nn.Parameter(torch.randn(shape, generator=draw)), 0, torch.float32)
        for name, shape in shapes.items()
    ]


def odd(parts, **settings):
    groups = [{"params": [part.parameter for part in parts[:2]]}, {"params": [parts[2].parameter], "lr": 0.3}]
    return ScheduledOptimizer(Odd(groups, **settings), parts)


def step(optimizer, parts, seeds):
    for seed in seeds:
        draw = torch.Generator().manual_seed(seed)
        for part in parts[seed == 0 :]:  # the first has no gradient in the first step
            part.parameter.grad = torch.randn(part.parameter.shape, generator=draw)
        optimizer.step(1 / (1 + seed))


def saved_and_loaded(optimizer, folder):
    tensors, numbers = optimizer.state()
    groups = {"weights": {"w": torch.zeros(1)}, "optimizer": tensors}
    save_checkpoint(folder, Checkpoint(1, groups, {"optimizer": numbers}).copied(), keep=2)
    loaded = newest_checkpoint(folder)
    return loaded.tensors["optimizer"], loaded.numbers["optimizer"]


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_a_resumed_optimizer_equals_an_uninterrupted_one_bit_for_bit(steps, tmp_path):
    first, second = parameters(), parameters()
    whole = odd(first)
    step(whole, first, range(steps))
    for mine, other in zip(second, first, strict=True):
        mine.parameter.data.copy_(other.parameter.detach())
    resumed = odd(second)
    resumed.restore(*saved_and_loaded(whole, tmp_path))
    kept, found = (flattened(one.optimizer.state_dict()) for one in (whole, resumed))
    assert {name: tensor.dtype for name, tensor in found[0].items()} == {
        name: tensor.dtype for name, tensor in kept[0].items()
    }
    assert found[1] == kept[1]
    assert resumed.optimizer.param_groups[1]["steps"] == steps
    for one, parts in ((whole, first), (resumed, second)):
        step(one, parts, range(steps, steps + 3))
    assert all(torch.equal(a.parameter, b.parameter) for a, b in zip(first, second, strict=True))


def test_the_state_holds_each_dtype():
    parts = parameters()
    optimizer = odd(parts)
    step(optimizer, parts, [1])
    dtypes = {tensor.dtype for tensor in optimizer.state()[0].values()}
    assert dtypes == {torch.bfloat16, torch.float64, torch.int64, torch.float16, torch.bool}


def test_a_setting_that_was_changed_keeps_its_new_value(tmp_path):
    parts = parameters()
    optimizer = odd(parts)
    step(optimizer, parts, range(3))
    changed = odd(parameters(), decay=0.5)
    changed.restore(*saved_and_loaded(optimizer, tmp_path))
    group = changed.optimizer.param_groups[0]
    assert (group["decay"], group["steps"], group["betas"], group["limit"]) == (0.5, 3, (0.9, 0.99), float("inf"))


def test_each_group_gets_the_fraction_of_its_own_peak():
    parts = parameters()
    optimizer = odd(parts)
    optimizer.step(0.5)
    assert [group["lr"] for group in optimizer.optimizer.param_groups] == [0.05, 0.15]
    assert optimizer.learning_rates(0.1) == {
        "learning_rate": pytest.approx(0.01),
        "learning_rate_1": pytest.approx(0.03),
    }


def test_parameters_in_another_order_are_refused():
    parts = parameters()
    state = odd(parts).state()
    with pytest.raises(NoCheckpointError, match="it belongs to other parameters, or to the same in another order"):
        odd(parts[::-1]).restore(*state)


def test_a_load_state_dict_that_raises_is_told():
    parts = parameters()
    tensors, numbers = odd(parts).state()
    one_group = ScheduledOptimizer(Odd([part.parameter for part in parts]), parts)
    with pytest.raises(NoCheckpointError, match="the optimizer's state can't be restored: ValueError: loaded state"):
        one_group.restore(tensors, numbers)


class Forgetful(Odd):
    def load_state_dict(self, state):
        pass


def test_a_state_that_is_not_restored_is_told():
    parts = parameters()
    forgetful = ScheduledOptimizer(Forgetful([part.parameter for part in parts]), parts)
    step(forgetful, parts, [1])
    fresh = ScheduledOptimizer(Forgetful([part.parameter for part in parts]), parts)
    with pytest.raises(
        PluginError, match=r"load_state_dict does not restore the tensor 'state\.0\.average\.fast'"
    ) as caught:
        fresh.restore(*forgetful.state())
    assert caught.value.kind == "optimizer"


def test_an_optimizer_that_forgets_a_parameter_is_told():
    parts = parameters()
    with pytest.raises(PluginError, match="do not contain each parameter exactly once"):
        ScheduledOptimizer(Odd([part.parameter for part in parts[1:]]), parts)
    optimizer = Odd([part.parameter for part in parts])
    del optimizer.param_groups[0]["lr"]
    with pytest.raises(PluginError, match='has no number "lr"'):
        ScheduledOptimizer(optimizer, parts)


STATES = [
    {},
    {"a": {"b.c": torch.ones(2)}, "a.b": {"c": torch.zeros(3)}},
    {0: [1, 2.5, None, "x", True, (1, (2,))], "0": {}, -1: float("-inf")},
    [torch.ones((), dtype=torch.int8)],
]


@pytest.mark.parametrize("state", STATES, ids=range(len(STATES)))
def test_a_state_survives_as_tensors_and_json(state):
    tensors, data = flattened(state)
    again = rebuilt(dict(tensors), json.loads(json.dumps(data, allow_nan=False)))
    assert repr(again) == repr(state)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"a": {"b": object()}}, "contains a object at 'a.b'"),
        ({"a": {(1, 2): 3}}, r"the key \(1, 2\) at 'a'"),
        ({True: 1}, "the key True"),
        (1j, "contains a complex"),
    ],
)
def test_a_state_that_cannot_be_saved_is_told(state, words):
    with pytest.raises(PluginError, match=words):
        flattened(state)


def test_a_state_that_could_not_be_read_back_is_told():
    state = 1
    for _ in range(MAX_DEPTH):
        state = [state]
    assert rebuilt(*flattened(state)) == state
    with pytest.raises(PluginError, match="nested more than"):
        flattened([state])


def test_the_deepest_state_is_read_back(tmp_path):
    state = torch.ones(1)
    for _ in range(MAX_DEPTH):
        state = {"x": state}
    tensors, data = flattened(state)
    groups = {"weights": {"w": torch.zeros(1)}, "optimizer": tensors}
    save_checkpoint(tmp_path, Checkpoint(1, groups, {"optimizer": {"state": data}}).copied(), keep=2)
    loaded = newest_checkpoint(tmp_path)
    assert repr(rebuilt(loaded.tensors["optimizer"], loaded.numbers["optimizer"]["state"])) == repr(state)
