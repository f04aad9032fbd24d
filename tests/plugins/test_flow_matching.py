"""Flow matching, equation by equation."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from building import built
from gentoolkit.errors import UsageError
from gentoolkit.paths import LINEAR
from gentoolkit.protocols import Batch, TrainingContext
from gentoolkit.randomness import BatchGenerator, normal_rows
from gentoolkit.testing import Case, contracts_of, run
from gentoolkit_flow_matching import gentoolkit_components
from testing_parts.catalogue import entry

flow_matching = partial(built, "objective", "flow_matching")
UNIFORM = flow_matching()


def pairs(x1, condition=None):
    return Batch(x1, condition, normal_rows(0, "x0", np.arange(len(x1)), tuple(x1.shape[1:])))


def context(total, step=0):
    return TrainingContext(BatchGenerator(0, "objective", step, total))


def test_the_loss_is_the_mean_squared_velocity_error_of_each_sample():
    x1 = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0))
    seen = {}

    def backbone(x_t, t, condition):
        seen.update(x_t=x_t, t=t, condition=condition)
        return torch.full_like(x_t, 0.25)

    record = UNIFORM.loss(backbone, pairs(x1, torch.arange(6)), context(6))
    t = seen["t"][:, None, None]
    x0 = (seen["x_t"] - t * x1) / (1 - t)
    # Solving for x0 divides the float32 rounding of x_t by 1 - t; these times stay below 0.98.
    torch.testing.assert_close(record.loss, (0.25 - (x1 - x0)).square().mean((1, 2)), rtol=1e-3, atol=1e-3)
    assert torch.equal(record.t, seen["t"])
    assert seen["condition"].tolist() == list(range(6))


def test_times_are_uniform():
    """40,000 values: 5 standard errors of the mean are 0.007."""
    t = UNIFORM.loss(lambda x, t, c: x, pairs(torch.zeros(40_000, 1)), context(40_000)).t
    assert abs(t.mean().item() - 0.5) < 5 / (12 * 40_000) ** 0.5
    assert abs(t.std().item() - 12**-0.5) < 0.005


def test_stratified_times_fill_every_part_of_the_interval():
    objective = flow_matching(stratified=True)
    t = objective.loss(lambda x, t, c: x, pairs(torch.zeros(32, 1)), context(32)).t
    assert sorted((t * 32).floor().int().tolist()) == list(range(32))


def test_x0_is_that_of_the_pairs():
    x0, x1 = torch.full((4, 1), -3.0), torch.full((4, 1), 5.0)
    record = UNIFORM.loss(lambda x, t, c: x * 0 + 8, Batch(x1, None, x0), context(4))
    assert torch.equal(record.loss, torch.zeros(4))


def test_a_bf16_backbone_is_compared_in_float32():
    record = UNIFORM.loss(lambda x, t, c: x.bfloat16(), pairs(torch.zeros(4, 1)), context(4))
    assert record.loss.dtype == torch.float32


class Tokenwise(torch.nn.Module):
    """Predicts 0 for each element, which is a token of its own, and keeps what it was asked for."""

    def patches(self, x):
        return x.flatten(1)[..., None]

    def forward(self, x_t, t, condition=None, tokens=None):
        self.x_t, self.tokens = x_t, tokens
        return x_t.flatten(1)[..., None].take_along_dim(tokens[..., None], 1) * 0


def test_a_subset_of_tokens_is_held_to_its_own_targets():
    x1 = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    backbone = Tokenwise()
    record = flow_matching(tokens=2).loss(backbone, pairs(x1), context(5))
    t = record.t[:, None, None]
    x0 = (backbone.x_t - t * x1) / (1 - t)
    wanted = (x1 - x0).flatten(1).take_along_dim(backbone.tokens, 1)
    assert backbone.tokens.shape == (5, 2)
    torch.testing.assert_close(record.loss, wanted.square().mean(1), rtol=1e-3, atol=1e-3)  # rounding, as above


def test_subsets_of_all_tokens_give_the_whole_loss():
    x1 = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    whole = UNIFORM.loss(lambda x, t, c: x * 0, pairs(x1), context(5))
    every = flow_matching(tokens=12).loss(Tokenwise(), pairs(x1), context(5))
    torch.testing.assert_close(every.loss, whole.loss)


def test_several_numbers_of_tokens_divide_the_run():
    objective, backbone, x1 = flow_matching(tokens=(1, 2, 4)), Tokenwise(), torch.zeros(2, 5)
    counts = []
    for step in range(7):
        objective.loss(backbone, pairs(x1), TrainingContext(BatchGenerator(0, "test", step, 2), step, 7))
        counts.append(backbone.tokens.shape[1])
    assert counts == [1, 1, 1, 2, 2, 4, 4]


def test_more_tokens_than_there_are_is_told_in_the_first_step():
    objective = flow_matching(tokens=(1, 6))
    with pytest.raises(UsageError, match=r"objective\.tokens includes 6, but a sample has 5 tokens; use at most 5"):
        objective.loss(Tokenwise(), pairs(torch.zeros(2, 5)), context(2))


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_weights_have_mean_one_and_leave_the_reported_error_alone(power):
    objective = flow_matching(stratified=True, weighting={"type": "power", "power": power})
    x1 = torch.zeros(1000, 1)
    weighted = objective.loss(lambda x, t, c: x * 0, pairs(x1), context(1000))
    assert torch.allclose(weighted.loss, (power + 1) * (1 - weighted.t) ** power * weighted.velocity_error)
    # The mean of a smooth function over 1,000 even times is its integral to within 1 / 1000 of its range, p + 1.
    assert (weighted.loss / weighted.velocity_error).mean().item() == pytest.approx(1, abs=(power + 1) / 1000)


def test_power_two_is_the_error_of_the_denoised_sample():
    x1 = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    seen = {}

    def backbone(x_t, t, condition):
        seen.update(x_t=x_t)
        return x_t * 0.3

    record = flow_matching(weighting={"type": "power", "power": 2.0}).loss(backbone, pairs(x1), context(6))
    denoised = LINEAR.denoised_from_velocity(seen["x_t"] * 0.3, seen["x_t"], record.t)
    torch.testing.assert_close(record.loss, 3 * (denoised - x1).square().mean(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "fields", [{"weighting": "power"}, {"stratified": True}, {"path": "cosine"}, {"times": "logit_normal"}], ids=str
)
def test_other_settings_keep_the_contracts_of_objectives(fields):
    (component,) = gentoolkit_components()
    case = Case(entry(replace(component, tiny=fields)))
    outcomes = [run(contract, case) for contract in contracts_of(case.entry)]
    assert [o.message for o in outcomes if o.status not in ("passed", "skipped")] == []
