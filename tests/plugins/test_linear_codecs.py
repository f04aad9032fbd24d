"""Principal components and whitening, against their definitions and numpy's singular value decomposition."""

import numpy as np
import pytest
import torch

from building import built, config, registry
from gentoolkit.api import DataSpec, Labels
from gentoolkit.errors import RecipeError
from gentoolkit.recipe import parse_recipe

SHAPE = (2, 3, 2)
SPEC = DataSpec(SHAPE, Labels(3), value_range=(-1.0, 1.0), colormap="viridis")


def data(count=500, seed=0, rank=12):
    """Correlated samples with means of size 5, (count, 2, 3, 2), that fill `rank` dimensions."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).normal(size=(rank, 12)) * np.linspace(2, 0.3, rank)[:, None]
    x = rng.normal(size=(count, rank)) @ mixing + np.linspace(-5, 5, 12)
    return torch.from_numpy(x.astype(np.float32)).reshape(count, *SHAPE)


def fitted(name, x, chunk=64, **fields):
    codec = built("codec", name, {"spec": SPEC}, **fields)
    codec.fit(x.split(chunk))
    return codec


def covariance(z):
    return z.flatten(1).double().T.cov(correction=0)


def test_pca_is_the_singular_value_decomposition():
    x = data()
    z = fitted("pca", x, num_components=3, whitened=False).encode(x).double()
    flat = x.flatten(1).double()
    u, s, axes = np.linalg.svd((flat - flat.mean(0)).numpy(), full_matrices=False)
    signs = np.sign(axes[np.arange(12), np.abs(axes).argmax(1)])
    # float32 values up to 10
    np.testing.assert_allclose(z.numpy(), (u * s * signs)[:, :3], atol=2e-5)


def test_whitened_components_have_variance_1_and_others_keep_theirs():
    x = data()
    z, plain = (fitted("pca", x, num_components=4, whitened=whitened).encode(x) for whitened in (True, False))
    torch.testing.assert_close(covariance(z), torch.eye(4).double(), rtol=0, atol=1e-5)
    variances = covariance(plain)
    leading = torch.linalg.eigvalsh(covariance(x)).flip(0)[:4]
    torch.testing.assert_close(variances, torch.diag(leading), rtol=1e-5, atol=1e-5 * leading[0].item())


@pytest.mark.parametrize("whitened", [True, False])
def test_some_components_lose_what_the_others_explain_and_all_lose_nothing(whitened):
    x = data()
    codec = fitted("pca", x, num_components=5, whitened=whitened)
    lost = (codec.decode(codec.encode(x)) - x).flatten(1).double().square().sum(1).mean()
    rest = torch.linalg.eigvalsh(covariance(x))[:7].sum()
    assert lost.item() == pytest.approx(rest.item(), rel=1e-4)
    codec = fitted("pca", x, whitened=whitened)
    torch.testing.assert_close(codec.decode(codec.encode(x)), x, rtol=0, atol=2e-5)


def test_the_signs_of_components_depend_on_the_axes_alone():
    x = data()
    for order in (x, x.flip(0)):
        codec = fitted("pca", order, chunk=33, num_components=6)
        largest = codec.decoder.gather(0, codec.decoder.abs().argmax(0, keepdim=True))
        assert (largest > 0).all()


def test_whitened_samples_have_mean_0_and_covariance_1_and_change_as_little_as_possible():
    x = data()
    codec = fitted("whiten", x, epsilon=0.0)
    z = codec.encode(x)
    assert z.shape == x.shape
    torch.testing.assert_close(z.flatten(1).double().mean(0), torch.zeros(12).double(), rtol=0, atol=1e-5)
    torch.testing.assert_close(covariance(z), torch.eye(12).double(), rtol=0, atol=1e-4)
    torch.testing.assert_close(codec.decode(z), x, rtol=0, atol=2e-5)
    # Of all whitening maps, the symmetric positive definite one is the closest to the identity.
    torch.testing.assert_close(codec.encoder, codec.encoder.T)
    assert torch.linalg.eigvalsh(codec.encoder)[0] > 0


def test_epsilon_is_what_a_component_of_no_variance_is_stretched_by():
    x = data(rank=9)
    codec, variances = fitted("whiten", x, epsilon=0.01), torch.linalg.eigvalsh(covariance(x)).clamp(min=0)
    total = variances + 0.01 * variances.mean()
    found = torch.linalg.eigvalsh(covariance(codec.encode(x)))
    torch.testing.assert_close(found, (variances / total).sort().values, rtol=0, atol=1e-5)
    torch.testing.assert_close(codec.decode(codec.encode(x)), x, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("name", "fields"), [("pca", {}), ("pca", {"whitened": False}), ("whiten", {"epsilon": 0.0})])
def test_directions_without_variance_are_only_shifted(name, fields):
    x = data(rank=9)
    x[:, 0, 0] = 0.1
    codec = fitted(name, x, **fields)
    z = codec.encode(x)
    assert z.isfinite().all()
    torch.testing.assert_close(codec.decode(z), x, rtol=0, atol=2e-5)
    constant = fitted(name, x[:1].expand(20, *SHAPE), **fields)
    assert constant.encode(x[:1]).abs().max() < 1e-5


def test_far_from_zero_the_covariance_is_still_right():
    """Squares of 1e4 in float64 keep eight digits; the mean of products less the product of means would not."""
    x = data() * 1e-3 + 1e4
    codec = fitted("pca", x, chunk=7, num_components=2, whitened=False)
    stds = covariance(codec.encode(x)).diag().sqrt()
    expected = torch.linalg.eigvalsh(covariance(x)).flip(0)[:2].sqrt()
    # encode subtracts the mean, which float32 rounds to 1e4 · 2^-24 = 6e-4: that only shifts the components.
    torch.testing.assert_close(stds, expected, rtol=1e-5, atol=0)


def test_specs_of_the_encoded_data():
    for fields, shape in (({}, (12,)), ({"num_components": 5}, (5,))):
        assert config("codec", "pca", **fields).spec(SPEC) == DataSpec(shape, Labels(3))
    assert config("codec", "whiten").spec(SPEC) == DataSpec(SHAPE, Labels(3), colormap="viridis")


def recipe(codec, image_size=8):
    dataset = f"{{type: patterns, image_size: {image_size}, channels: 1}}"
    text = f"version: 2\nname: a\ndataset: {dataset}\ncodec: {codec}\nbackbone: mlp\nobjective: flow_matching\n"
    return parse_recipe(f"{text}sampler: euler\ntrain: {{steps: 1}}\n", registry=registry())


def test_components_that_do_not_exist_and_samples_that_are_too_large_are_reported():
    assert recipe("{type: pca, num_components: 64}").spec.shape == (64,)
    with pytest.raises(RecipeError, match=r"codec\.num_components: got 65, but a sample has only 64 elements"):
        recipe("{type: pca, num_components: 65}")
    for codec in ("pca", "whiten"):
        with pytest.raises(RecipeError, match="has 16384 elements, too many for their covariance matrix; at most 8192"):
            recipe(codec, image_size=128)
