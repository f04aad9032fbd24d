"""Features that are linear in the samples."""

import math

import pytest
import torch

from building import built, config, registry
from gentoolkit.api import DataSpec
from gentoolkit.errors import RecipeError
from gentoolkit.protocols import Batch
from gentoolkit.recipe import load_recipe
from gentoolkit.testing.features import Split

SPEC = DataSpec((2, 3))


def features(name, x, **fields):
    return built("features", name, {"spec": SPEC, "seed": 0, "train": Split(Batch(x))}, **fields)


def samples(count, seed=0):
    draws = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    # Six independent directions with deviations 1 to 6, rotated by a fixed orthogonal matrix, around 3.
    rotation, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(9)))
    return (draws * torch.arange(1.0, 7.0) @ rotation + 3).reshape(count, 2, 3), rotation


def test_identity_is_the_flattened_sample():
    x, _ = samples(5)
    assert torch.equal(features("identity", x)(x), x.flatten(1).double())


def test_components_are_uncorrelated_with_falling_variances_and_keep_distances():
    x, _ = samples(3000)  # more than one chunk
    rows = features("pca", x)(x)
    covariance = rows.T.cov(correction=0)
    torch.testing.assert_close(covariance, covariance.diag().diag(), rtol=0, atol=1e-9)
    assert covariance.diag().sort(descending=True).values.equal(covariance.diag())
    # A sample variance has the relative deviation sqrt(2 / n); six of them.
    assert covariance.diag().sqrt().tolist() == pytest.approx([6, 5, 4, 3, 2, 1], rel=6 * math.sqrt(2 / 3000) / 2)
    torch.testing.assert_close(torch.pdist(rows[:50]), torch.pdist(x[:50].flatten(1).double()))


def test_few_components_are_the_leading_ones():
    x, rotation = samples(3000)
    whole, two = features("pca", x), features("pca", x, num_components=2)
    assert torch.equal(two.directions, whole.directions[:, :2])
    # The leading direction is that of the largest deviation, up to its sign; the deviations 6 and 5 mix a little.
    assert abs(two.directions[:, 0].float() @ rotation[5]) > 0.98


def test_a_covariance_that_would_not_fit_is_refused():
    (problem,) = config("features", "pca").check(DataSpec((3, 64, 64)))
    assert "at most 4096 values, but these have 12288" in problem.message


def test_the_file_of_inception_is_checked_before_the_run_and_starts_at_the_recipe(tmp_path):
    text = (
        "version: 2\nname: a\ndataset: {type: patterns, channels: 3}\nbackbone: mlp\nobjective: flow_matching\n"
        "sampler: euler\ntrain: {steps: 1}\n"
        "metrics: [{type: kernel_distance, features: {type: inception, file: inception.pth}}]\n"
    )
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"features\.file: there is no file .*inception\.pth"):
        load_recipe(tmp_path / "a.yaml", registry=registry())
    (tmp_path / "inception.pth").write_bytes(b"")
    load_recipe(tmp_path / "a.yaml", registry=registry())
