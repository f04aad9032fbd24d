from dataclasses import replace

import numpy as np
import pytest

from benchmarks import limit
from benchmarks.cost import AXES, Cost, CostModel, Size, cost_rows, fit, measure_cost, recipe_of

SIZES = [replace(Size(), **{axis: n}) for axis, values in AXES.items() for n in values]


def counted(size):
    heads = size.width // 32
    return limit.flops(limit.step_products(size.batch, size.width, size.depth, heads, size.tokens))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_formula_leaves_out_little_more_than_one_percent_of_the_products(size):
    # Left out are modulation, patches, head and the embedding of the time: most with a single layer.
    assert 0.985 <= size.products / counted(size) <= 1


def test_a_size_of_which_all_is_known():
    # One layer, one head of 32 on 2 tokens of 1 sample: 24 D² + 4 N D a token forward, twice that backward.
    size = Size(depth=1, width=32, tokens=2, batch=1)
    assert size.products == 3 * 2 * (24 * 32**2 + 4 * 2 * 32)
    # 20 D numbers, then a score and a weight for each of 2 tokens.
    assert size.values == 2 * (20 * 32 + 2 * 2)


def test_the_recipe_has_the_size():
    size = Size(depth=2, width=64, tokens=144, batch=8)
    recipe = recipe_of(size)
    backbone = recipe.backbone
    _, height, width = recipe.spec.shape
    assert (backbone.depth, backbone.hidden_size, recipe.train.batch_size) == (2, 64, 8)
    assert height * width // backbone.patch_size**2 == 144
    assert backbone.mlp_ratio == 4
    assert backbone.hidden_size // backbone.num_heads == 32


@pytest.mark.parametrize(
    "model", [CostModel(3e-12, 8e-10, 0.02), CostModel(3e-12, 0.0, 0.02), CostModel(0.0, 8e-10, 0.0)]
)
def test_the_fit_finds_the_model_that_made_the_times(model):
    found = fit({size: [model(size)] for size in SIZES})
    # lstsq is exact up to rounding times the condition number of three scaled columns, below 1e3.
    np.testing.assert_allclose([found(size) for size in SIZES], [model(size) for size in SIZES], rtol=1e-9)
    for a, b in zip((found.a, found.b, found.c), (model.a, model.b, model.c), strict=True):
        assert a == pytest.approx(b, rel=1e-6, abs=1e-9 * (b or 1))


def test_the_fit_takes_medians_and_relative_errors():
    truth = CostModel(3e-12, 8e-10, 0.02)
    rng = np.random.default_rng(0)
    times = {size: [truth(size) * f for f in (0.99, 1.0, 50.0)] for size in SIZES}
    assert fit(times).a == pytest.approx(truth.a, rel=1e-6)
    noisy = {size: [truth(size) * rng.choice([0.95, 1.05])] for size in SIZES}
    found = fit(noisy)
    errors = [found(size) / noisy[size][0] - 1 for size in SIZES]
    # The truth errs by at most 1 / 0.95 - 1 in relative terms, and the fit has the smallest sum of squares.
    assert np.square(errors).sum() <= len(SIZES) * (1 / 0.95 - 1) ** 2


def test_no_coefficient_is_negative():
    # Times that fall with the size: the best fit without a sign would have a negative rate.
    found = fit({size: [1e9 / size.products] for size in SIZES})
    assert min(found.a, found.b, found.c) >= 0


def test_every_size_is_compared_with_the_centre_and_the_model():
    model = CostModel(1e-12, 0.0, 0.0)
    times = {Size(): [1.0, 2.0], replace(Size(), batch=32): [3.0, 4.0], replace(Size(), depth=3): [0.5, 1.5]}
    *rows, last = cost_rows(Cost("bf16", times, model))
    assert [row.name for row in rows] == ["batch 32 / 16", "depth 3 / 6"]
    assert (rows[0].smallest, rows[0].largest, rows[0].note) == (2.0, 3.0, "the model says 2.00")
    assert rows[1].note == "the model says 0.50"
    assert last.median == pytest.approx(3.5 / model(replace(Size(), batch=32)))
    assert "1e+03 GFLOP/s" in last.note
    assert "unlimited" in last.note


def test_steps_are_really_timed():
    cost = measure_cost(1, {"depth": (1,)})
    assert list(cost.times) == [Size(), Size(depth=1)]
    assert all(len(times) == 1 and times[0] > 0 for times in cost.times.values())
    assert cost.model(Size()) > 0
