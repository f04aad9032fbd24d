import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.stats
import torch

from gentoolkit.api import DataSpec
from gentoolkit.errors import GentoolError, PluginError
from gentoolkit.evaluation import Groups, evaluate
from gentoolkit.evaluation.metrics import mean_of, student_quantile
from gentoolkit.protocols import Batch
from gentoolkit.records import Comparison
from gentoolkit_metrics import ClassMeanRmseConfig, ResidualStdRatioConfig, SlicedWassersteinConfig
from gentoolkit_metrics.distances import SlicedWasserstein
from gentoolkit_metrics.moments import ClassMeanRmse, ResidualStdRatio


class MeanGap:
    """Mean of the other set minus that of the real one; refuses single samples."""

    optimum = 0.0

    def prepare(self, x, condition):
        return x

    def value(self, real, other):
        if len(real) < 2:
            raise ValueError("needs at least 2 samples")
        return (other.mean() - real.mean()).item()


def evaluated(metrics, where, real, generated, floor, reference=None, **settings):
    return evaluate(metrics, where, Batch(real), generated, Batch(floor), reference, **settings)


def groups(*sizes, pooled=None):
    """Classes 0, 1, ... of these sizes, one after another; of each, the first `pooled` stand for it in the pool."""
    starts = np.cumsum([0, *sizes])
    rows = [np.arange(a, b) for a, b in pairwise(starts)]
    pool = [part[:count] for part, count in zip(rows, pooled or sizes, strict=True)]
    return Groups(
        np.arange(sum(sizes)), np.arange(sum(sizes)), tuple(pool), {str(k): r for k, r in enumerate(rows)}, {}
    )


def constant(*values, each=2):
    return torch.tensor(values).repeat_interleave(each)[:, None].expand(-1, 3).float()


def compared(value, floor, reference=None, value_std=None, floor_std=None, reference_std=None):
    sides = {"value": value, "floor": floor, "reference": reference}
    return Comparison(**sides, value_std=value_std, floor_std=floor_std, reference_std=reference_std)


def test_each_class_and_the_pool_get_a_value_a_floor_and_a_reference():
    real, generated, floor = constant(0.0, 1.0), constant(5.0, 4.0), constant(0.5, 1.25)
    where = groups(2, 2, pooled=(2, 1))
    (result,) = evaluated({"gap": MeanGap()}, where, real, generated, floor, constant(0.25, 1.5))
    assert result.per_class == {"0": compared(5.0, 0.5, 0.25), "1": compared(3.0, 0.25, 0.5)}
    assert (result.value, result.floor, result.reference) == (4.0, 0.375, 0.375)
    # (5 + 5 + 4) / 3 - (0 + 0 + 1) / 3, and so on
    pooled = result.pooled
    expected = pytest.approx([13 / 3, 1.25 / 3, 1 / 3], rel=1e-6)
    assert [pooled.value, pooled.floor, pooled.reference] == expected


def test_the_mean_is_that_of_independent_classes():
    one, two = compared(5.0, 0.5, 0.25, 3.0, 0.75, 0.5), compared(3.0, 0.25, 0.75, 4.0, 1.0, 1.2)
    assert mean_of([one, two]) == compared(4.0, 0.375, 0.5, 2.5, 0.625, 0.65)  # of deviations: hypot(3, 4) / 2, ...
    assert mean_of([one, compared(3.0, 0.25)]) == compared(4.0, 0.375)


def test_data_without_classes_has_the_pool_alone():
    where = Groups(np.arange(2), np.arange(2), (np.arange(2),), {}, {})
    (result,) = evaluated({"gap": MeanGap()}, where, constant(0.0), constant(2.0), constant(1.0))
    assert result.pooled == compared(2.0, 1.0)
    assert (result.value, result.floor, result.per_class) == (2.0, 1.0, {})


def test_results_keep_the_order_of_the_metrics():
    sets = torch.zeros(2, 1)
    assert [r.name for r in evaluated({"b": MeanGap(), "a": MeanGap()}, groups(2), sets, sets, sets)] == ["b", "a"]


def test_a_number_that_is_not_finite_is_unknown():
    class Endless(MeanGap):
        def value(self, real, other):
            return math.inf

    sets = torch.zeros(4, 1)
    (result,) = evaluated({"gap": Endless()}, groups(2, 2), sets, sets, sets, resamples=2)
    assert result.value is None
    assert result.pooled == compared(None, None)


@pytest.mark.parametrize("wrong", ["generated", "floor", "reference"])
def test_sets_of_other_sizes_are_refused(wrong):
    sets = {name: torch.zeros(3 if name == wrong else 2, 1) for name in ("real", "generated", "floor", "reference")}
    with pytest.raises(GentoolError, match=r"equally many samples; got real 2, .* 3"):
        evaluated({"gap": MeanGap()}, groups(2), **sets)


def test_a_class_that_a_metric_refuses_is_left_out_with_the_reason():
    sets = torch.zeros(3, 1)
    (result,) = evaluated({"gap": MeanGap()}, groups(2, 1), sets, sets + 2, sets)
    assert result.per_class == {"0": compared(2.0, 0.0)}
    assert (result.value, result.refused) == (2.0, {"1": "needs at least 2 samples"})


def test_a_metric_that_refuses_all_samples_is_named():
    sets = torch.zeros(1, 1)
    with pytest.raises(GentoolError, match="metric 'gap', class all: needs at least 2 samples"):
        evaluated({"gap": MeanGap()}, groups(1), sets, sets, sets)


@pytest.mark.parametrize("rows", [torch.zeros(3), None])
def test_a_metric_with_another_number_of_rows_is_at_fault(rows):
    class Short(MeanGap):
        def prepare(self, x, condition):
            return rows

    sets = torch.zeros(4, 1)
    with pytest.raises(PluginError, match=r"prepare\(...\) of 4 samples returned"):
        evaluated({"gap": Short()}, groups(4), sets, sets, sets)


def test_samples_are_prepared_in_parts_with_their_conditions():
    class Labels(MeanGap):
        def prepare(self, x, condition):
            assert len(x) <= 3
            return condition[:, None].double()

    real, floor = Batch(torch.zeros(8, 1), torch.arange(8)), Batch(torch.zeros(8, 1), torch.arange(8) + 1)
    (result,) = evaluate({"gap": Labels()}, groups(8), real, torch.zeros(8, 1), floor, batch_size=3)
    assert (result.value, result.floor) == (0.0, 1.0)


def test_without_enough_samples_for_halves_there_is_no_deviation():
    class Needy(MeanGap):
        def value(self, real, other):
            if len(real) < 5:
                raise ValueError("needs at least 5 samples")
            return super().value(real, other)

    real = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    (result,) = evaluated({"gap": Needy()}, groups(6), real, real + 1, real, resamples=8)
    assert (result.pooled.value, result.pooled.value_std) == (pytest.approx(1.0), None)
    (small,) = evaluated({"gap": MeanGap()}, groups(3), real[:3], real[:3], real[:3], resamples=8)
    assert small.pooled.value_std is None


def test_halves_keep_the_share_of_each_class_on_both_sides():
    seen = []

    class Shares(MeanGap):
        def value(self, real, other):
            seen.append(tuple(sorted(side[:, 0].int().tolist()) for side in (real, other)))
            return super().value(real, other)

    sets = constant(0.0, 1.0, each=5)
    evaluated({"gap": Shares()}, groups(5, 5, pooled=(5, 4)), sets, sets, sets, resamples=20)
    pooled = [pair for pair in seen if 0 in pair[0] and 1 in pair[0]]
    halves = [pair for pair in pooled if len(pair[0]) < 9]
    assert len(halves) == 2 * 20
    assert all(first == second for first, second in halves)
    assert {first.count(1) for first, _ in halves} == {2}
    assert {first.count(0) for first, _ in halves} == {2, 3}


def test_the_mean_of_intervals_is_that_of_independent_classes():
    one = Comparison(value=5.0, value_low=2.0, value_high=8.0, value_limit=4.0, floor=1.0, reference=None)
    two = Comparison(value=3.0, value_low=-1.0, value_high=7.0, value_limit=2.0, floor=1.0, reference=None)
    mean = mean_of([one, two])
    assert (mean.value, mean.value_low, mean.value_high, mean.value_limit) == (4.0, 1.5, 6.5, 3.0)  # hypot(3, 4) / 2
    assert (mean.floor, mean.floor_low, mean.floor_limit) == (1.0, None, None)


@pytest.mark.parametrize("freedom", [3, 4, 7, 11, 99])
def test_the_quantile_is_that_of_students_distribution(freedom):
    assert student_quantile(freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=0.01)


def test_a_bias_of_known_order_is_extrapolated_exactly():
    class Biased(MeanGap):
        bias_order = 1.0

        def value(self, real, other):
            return 3.0 + 8.0 / len(real)

    sets = torch.zeros(8, 1)
    (result,) = evaluated({"gap": Biased()}, groups(8), sets, sets, sets, resamples=4)
    assert (result.value, result.value_limit, result.floor_limit) == (4.0, 3.0, 3.0)


def metrics(num_dims):
    given = DataSpec((num_dims,)), 0, None
    return {
        "wasserstein": SlicedWasserstein(SlicedWassersteinConfig(num_projections=16), *given),
        "rmse": ClassMeanRmse(ClassMeanRmseConfig(), *given),
        "ratio": ResidualStdRatio(ResidualStdRatioConfig(), *given),
    }


def test_deviation_and_interval_from_halves_are_those_over_other_samples():
    """Against the truth: the deviation over 200 independent pairs of sets, which is itself known to 5 %."""
    n, dims, trials = 32, 20, 200
    generator = torch.Generator().manual_seed(3)
    found = {}
    for _ in range(trials):
        real, floor = (torch.randn(n, dims, generator=generator) for _ in range(2))
        generated = 0.3 + 0.7 * torch.randn(n, dims, generator=generator)
        for result in evaluated(metrics(dims), groups(n), real, generated, floor, resamples=12):
            for side in ("value", "floor"):
                numbers = [getattr(result.pooled, side + suffix) for suffix in ("", "_std", "_low", "_high")]
                found.setdefault((result.name, side), []).append(numbers)
    for what, numbers in found.items():
        values, stds, lows, highs = np.array(numbers).T
        ratio = np.sqrt(np.mean(np.square(stds))) / np.std(values)
        # 5 % each for the two sides of the ratio, three times; for the floor of a distance up to 0.866 / 0.707 more.
        assert 0.8 < ratio < 1.45, (what, ratio)
        covered = np.mean((lows <= values.mean()) & (values.mean() <= highs))
        # Binomial: 0.95 has a standard error of 0.0154 for 200 trials; three of them, and more where it is too wide.
        assert covered > 0.95 - 3 * 0.0154, (what, covered)
