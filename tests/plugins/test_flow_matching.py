"""Flow matching, equation by equation."""

import torch

from gentoolkit.protocols import Batch, TrainingContext
from gentoolkit.randomness import BatchGenerator
from gentoolkit_flow_matching import FlowMatchingConfig
from gentoolkit_flow_matching.objective import FlowMatching

UNIFORM = FlowMatching(FlowMatchingConfig())


def context(total, step=0):
    return TrainingContext(BatchGenerator(0, "objective", step, total))


def test_the_loss_is_the_mean_squared_velocity_error_of_each_sample():
    x1 = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0))
    seen = {}

    def backbone(x_t, t, condition):
        seen.update(x_t=x_t, t=t, condition=condition)
        return torch.full_like(x_t, 0.25)

    record = UNIFORM.loss(backbone, Batch(x1, torch.arange(6)), context(6))
    t = seen["t"][:, None, None]
    x0 = (seen["x_t"] - t * x1) / (1 - t)
    # Solving for x0 divides the float32 rounding of x_t by 1 - t; these times stay below 0.98.
    torch.testing.assert_close(record.loss, (0.25 - (x1 - x0)).square().mean((1, 2)), rtol=1e-3, atol=1e-3)
    assert torch.equal(record.t, seen["t"])
    assert seen["condition"].tolist() == list(range(6))


def test_noise_is_standard_normal_and_times_are_uniform():
    """With x1 = 0 and t known, x0 = x_t / (1 - t). 40,000 values: 5 standard errors of the mean are 0.025."""
    seen = {}

    def backbone(x_t, t, condition):
        seen.update(x_t=x_t, t=t)
        return x_t

    UNIFORM.loss(backbone, Batch(torch.zeros(40_000, 1)), context(40_000))
    keep = seen["t"] < 0.99
    x0 = (seen["x_t"][:, 0] / (1 - seen["t"]))[keep]
    assert abs(x0.mean().item()) < 0.025
    assert abs(x0.std().item() - 1) < 5 * (2 * 39_000) ** -0.5
    assert abs(seen["t"].mean().item() - 0.5) < 5 / (12 * 40_000) ** 0.5
    assert abs(seen["t"].std().item() - 12**-0.5) < 0.005


def test_stratified_times_fill_every_part_of_the_interval():
    objective = FlowMatching(FlowMatchingConfig(times="stratified"))
    t = objective.loss(lambda x, t, c: x, Batch(torch.zeros(32, 1)), context(32)).t
    assert sorted((t * 32).floor().int().tolist()) == list(range(32))


def test_pairs_bring_their_own_source():
    x0, x1 = torch.full((4, 1), -3.0), torch.full((4, 1), 5.0)
    record = UNIFORM.loss(lambda x, t, c: x * 0 + 8, Batch(x1, None, x0), context(4))
    assert torch.equal(record.loss, torch.zeros(4))


def test_a_bf16_backbone_is_compared_in_float32():
    record = UNIFORM.loss(lambda x, t, c: x.bfloat16(), Batch(torch.zeros(4, 1)), context(4))
    assert record.loss.dtype == torch.float32
