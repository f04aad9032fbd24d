"""The statistical contracts see what they say they see, and blame nobody: for other seeds than the fixed one, too."""

from statistics import NormalDist
from typing import NamedTuple

import pytest

from gentoolkit.api import Array, Config, DataSpec, Labels
from gentoolkit.testing import CONTRACTS, Case, run
from gentoolkit.testing.measures import FALSE_ALARM, standard_scores, z_bound
from gentoolkit.testing.placed import statistics
from testing_parts.catalogue import broken_sampler, entry, graded, objective, sampler
from testing_parts.configs import (
    BlobsConfig,
    ClockConfig,
    CurveConfig,
    FractionConfig,
    GuideConfig,
    MeanConfig,
    MlpConfig,
    NoiseConfig,
    PairingConfig,
    PlainConfig,
    QuantityConfig,
    RateConfig,
    ScaleConfig,
    SpacingConfig,
    StepsConfig,
    VectorConfig,
    WeightConfig,
)

STATISTICAL = ["objective.gradient", "objective.closed_form", "objective.time_direction", "objective.coverage"]
each_seed = pytest.mark.parametrize("seed", range(1, 5))


@each_seed
@pytest.mark.parametrize("name", ["SlowClock", "FastClock", "FastDenoised"])
def test_a_clock_five_per_cent_wrong_is_far_beyond_chance(name, seed):
    found = statistics(Case(entry(objective(name)), seed))
    # Its score is that much plus a standard normal number: five more than the bound would be seen in all but 3e-7.
    assert standard_scores(found.steps).abs().max() > z_bound(4) + 20


@each_seed
@pytest.mark.parametrize("contract", STATISTICAL)
@pytest.mark.parametrize("name", ["Velocity", "Denoised", "Curved", "Weighted"])
def test_right_objectives_pass_with_other_seeds(name, contract, seed):
    assert run(CONTRACTS[contract], Case(entry(objective(name)), seed)).message == ""


@each_seed
@pytest.mark.parametrize("shape", [(1,), (3, 4, 4)])
def test_the_shape_of_the_data_does_not_matter(shape, seed):
    case = Case(entry(objective("Denoised", DataSpec(shape))), seed)
    assert [run(CONTRACTS[contract], case).message for contract in STATISTICAL] == [""] * 4


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


class Graded(NamedTuple):
    """A saboteur whose fault has a size: one as large as `found` is found, one as large as `missed` is not."""

    contract: str
    factory: str
    config: type[Config]
    found: float
    missed: float
    spec: DataSpec | None = None
    traits: tuple[str, ...] = ()


NET, LOSS, STEPS, MEAN, BLOBS = MlpConfig, PlainConfig, StepsConfig, MeanConfig, BlobsConfig
NOISE, PAIRING, SCALE = NoiseConfig, PairingConfig, ScaleConfig
CURVE, CLOCK, WEIGHT = CurveConfig, ClockConfig, WeightConfig
QUANTITY, SPACING, GUIDE = QuantityConfig, SpacingConfig, GuideConfig
RATE, SHARE, VECTOR = RateConfig, FractionConfig, VectorConfig
FOUR = DataSpec((4,), Labels(3))
ONE = DataSpec((1,))
VECTORS = DataSpec((3,), Array((3,)))

#: Each contract's power, as its docstring states it, from both sides.
GRADED = [
    Graded("backbone.time", "backbones:LateDeaf", NET, 1 / 127, 1 / 1000, FOUR),
    Graded("backbone.time", "backbones:EarlyDeaf", NET, 1 / 127, 1 / 1000, FOUR),
    Graded("backbone.time", "backbones:MiddleDeaf", NET, 1 / 63, 1 / 1000, FOUR),
    Graded("backbone.elements", "backbones:FaintPixel", NET, 1e-8, 1e-4, FOUR),
    Graded("backbone.elements", "backbones:FaintEntry", NET, 1e-8, 1e-4, VECTORS),
    Graded("backbone.batch_independence", "backbones:BatchScaled", NET, 1e-7, 1e-11, FOUR),
    Graded("objective.gradient", "objectives:GradedClock", LOSS, 0.02, 1e-4),
    Graded("objective.one_point", "objectives:GradedClock", LOSS, 1e-4, 1e-6),
    Graded("objective.one_point", "objectives:GradedError", LOSS, 0.011, 0.005),
    Graded("objective.closed_form", "objectives:GradedError", LOSS, 0.06, 1e-3, ONE),
    Graded("objective.closed_form", "objectives:GradedError", LOSS, 0.03, 1e-3, FOUR),
    Graded("objective.time_direction", "objectives:LoudElement", LOSS, 1e-3, 1e-7, FOUR),
    Graded("objective.time_direction", "objectives:SharedNoise", LOSS, 1e-3, 1e-7, FOUR),
    Graded("objective.time_direction", "objectives:GradedClock", LOSS, 1e-4, 1e-7),
    Graded("source.keys", "sources:OneSeed", NOISE, 1 / 500, 0.0),
    Graded("source.distinct", "sources:Repeating", NOISE, 99_999, 100_001),
    Graded("source.gaussian", "sources:Loud", NOISE, 0.05, 1e-3),
    Graded("source.gaussian", "sources:Tilted", NOISE, 0.03, 1e-3),
    Graded("source.gaussian", "sources:Neighborly", NOISE, 0.03, 1e-3),
    Graded("source.gaussian", "sources:Heavy", NOISE, 0.317, 0.03),  # squared and times 3: 0.3 and 0.003
    Graded("coupling.permutation", "couplings:OneTwice", PAIRING, 1024, 1025),
    Graded("codec.inverse", "codecs:Off", SCALE, 1e-3, 1e-7),
    Graded("codec.rows", "codecs:BatchScaled", SCALE, 1e-4, 1e-8, None, ("lossy",)),
    Graded("objective.coverage", "objectives:NoLateTimes", LOSS, 0.0626, 0.05),
    Graded("objective.coverage", "objectives:FaintClass", LOSS, 1e-7, 1e-3, FOUR),
    Graded("objective.coverage", "objectives:FaintElement", LOSS, 1e-7, 1e-3, FOUR),
    Graded("objective.field", "objectives:ClampedField", LOSS, 1e-9, 1e-13),
    Graded("objective.field", "objectives:GapInField", LOSS, 1 / 255, 1 / 1000),
    Graded("path.ends", "schedules_of_time:EndsEarly", CURVE, 2e-6, 1e-8),
    Graded("path.derivatives", "schedules_of_time:WrongSlope", CURVE, 2e-6, 1e-7),
    Graded("times.quantile", "schedules_of_time:BeyondOne", CLOCK, 1e-3, 1e-5),
    Graded("times.coverage", "schedules_of_time:Steps", CLOCK, 1 / 2000, 0.0),
    Graded("weighting.weight", "schedules_of_time:Negative", WEIGHT, 1 / 200, 1 / 300),
    Graded("weighting.coverage", "schedules_of_time:Late", WEIGHT, 1 / 15, 1 / 20),
    Graded("prediction.field", "around_samplers:NotQuite", QUANTITY, 1e-12, 1e-16),
    Graded("grid.times", "around_samplers:EndsEarly", SPACING, 1e-15, 0.0),
    Graded("guidance.agreement", "around_samplers:Amplifying", GUIDE, 1e-8, 1e-11),
    Graded("guidance.quantity", "around_samplers:TimeOfQuantity", GUIDE, 1e-7, 1e-11),
    Graded("optimizer.order", "optimizers:FirstFaster", RATE, 1e-7, 1e-11),
    Graded("schedule.fraction", "schedules:Above", SHARE, 1e-15, 0.0),
    Graded("schedule.warmup", "schedules:Stumbles", SHARE, 2e-12, 1e-13),
    Graded("schedule.warmup", "schedules:Low", SHARE, 0.011, 0.009),
    Graded("sampler.constant_field", "broken_samplers:GradedSteps", STEPS, 1e-13, 1e-16),
    Graded("sampler.order", "broken_samplers:GradedOrder", STEPS, 0.2, 0.1),
    Graded("sampler.times", "broken_samplers:GradedTimes", STEPS, 2e-12, 1e-13),
    Graded("sampler.batch_independence", "broken_samplers:GradedPull", STEPS, 2e-12, 1e-15),
    Graded("sampler.terminal_moments", "broken_samplers:GradedNoise", STEPS, 0.05, 1e-3, None, ("stochastic",)),
    Graded("dataset.splits", "datasets:NearTwins", BLOBS, 1e-6, 3.0),
    Graded("dataset.splits", "datasets:SomeNearTwins", BLOBS, 5, 2),
    Graded("metric.elements", "metrics:FaintElement", MEAN, 1e-3, 0.5),
    Graded("metric.optimum", "metrics:Offset", MEAN, 0.55, 1e-3),
    Graded("metric.rows", "metrics:Centered", MEAN, 0.05, 1e-5),
    Graded("features.rows", "features:BatchScaled", VECTOR, 0.05, 1e-5),
]


@pytest.mark.parametrize("case", GRADED, ids=lambda case: f"{case.contract}-{case.factory}")
@pytest.mark.parametrize("side", ["found", "missed"])
def test_a_fault_of_the_stated_size_is_found_and_one_far_below_is_not(case, side):
    made = graded(case.factory, case.config, getattr(case, side), case.spec, case.traits)
    outcome = run(CONTRACTS[case.contract], Case(entry(made)))
    assert outcome.status == ("failed" if side == "found" else "passed"), outcome.message


def test_every_contract_states_its_power():
    assert [key for key, contract in CONTRACTS.items() if "Power: " not in contract.statement] == []
