"""The statistical contracts see what they say they see, and blame nobody: for other seeds than the fixed one, too."""

from statistics import NormalDist

import pytest
import torch

from gentoolkit.api import DataSpec
from gentoolkit.testing import CONTRACTS, Case, run
from gentoolkit.testing.measures import FALSE_ALARM, standard_scores, z_bound
from gentoolkit.testing.objective import MANY, _loss
from testing_parts.catalogue import broken_sampler, entry, objective, sampler

STATISTICAL = ["objective.gradient", "objective.closed_form", "objective.time_direction"]
each_seed = pytest.mark.parametrize("seed", range(1, 5))


@each_seed
@pytest.mark.parametrize("name", ["SlowClock", "FastClock", "FastDenoised"])
def test_a_clock_five_per_cent_wrong_is_far_beyond_chance(name, seed):
    theta = torch.zeros(MANY, 4, requires_grad=True)
    record, _, _ = _loss(Case(entry(objective(name)), seed), MANY, theta)
    record.loss.sum().backward()
    # Its score is that much plus a standard normal number: five more than the bound would be seen in all but 3e-7.
    assert standard_scores(theta.grad).abs().max() > z_bound(4) + 20


@each_seed
@pytest.mark.parametrize("contract", STATISTICAL)
@pytest.mark.parametrize("name", ["Velocity", "Denoised", "Curved", "Weighted"])
def test_right_objectives_pass_with_other_seeds(name, contract, seed):
    assert run(CONTRACTS[contract], Case(entry(objective(name)), seed)).message == ""


@each_seed
@pytest.mark.parametrize("shape", [(1,), (3, 4, 4)])
def test_the_shape_of_the_data_does_not_matter(shape, seed):
    case = Case(entry(objective("Denoised", DataSpec(shape))), seed)
    assert [run(CONTRACTS[contract], case).message for contract in STATISTICAL] == ["", "", ""]


@each_seed
@pytest.mark.parametrize(
    ("component", "status"),
    [(sampler("EulerMaruyama", "stochastic"), "passed"), (broken_sampler("Shouting", "stochastic"), "failed")],
    ids=["right", "loud"],
)
def test_noise_five_per_cent_too_strong_is_told_from_the_right_noise(component, status, seed):
    assert run(CONTRACTS["sampler.terminal_moments"], Case(entry(component), seed)).status == status


@pytest.mark.parametrize("count", [1, 4, 9])
def test_the_bound_on_scores_is_exceeded_as_rarely_as_stated(count):
    assert 2 * count * NormalDist().cdf(-z_bound(count)) == pytest.approx(FALSE_ALARM, rel=1e-6)
