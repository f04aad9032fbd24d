"""Standardization: its numbers, and their stability."""

import pytest
import torch

from building import built
from gentoolkit.api import DataSpec

IMAGES = DataSpec((3, 4, 5), value_range=(-1.0, 1.0))


def standardize(spec=IMAGES, **fields):
    return built("codec", "standardize", {"spec": spec}, **fields)


def images(count=200, seed=0):
    draws = torch.randn(count, 3, 4, 5, generator=torch.Generator().manual_seed(seed))
    return torch.tensor([1.0, 20.0, 0.01]).view(3, 1, 1) * draws + torch.tensor([5.0, -1.0, 0.0]).view(3, 1, 1)


@pytest.mark.parametrize("per_channel", [True, False])
def test_encoded_data_has_mean_0_and_variance_1(per_channel):
    codec, x = standardize(per_channel=per_channel), images()
    codec.fit(x.split(37))
    z = codec.encode(x).double()
    axes = (0, 2, 3) if per_channel else (0, 1, 2, 3)
    torch.testing.assert_close(z.mean(axes), torch.zeros_like(z.mean(axes)), rtol=0, atol=1e-6)
    torch.testing.assert_close(z.var(axes, correction=0), torch.ones_like(z.mean(axes)), rtol=1e-6, atol=0)


def test_far_from_zero_the_deviation_is_still_right():
    """The mean of squares less the squared mean would lose all digits in float32, and seven of sixteen in float64."""
    x = 1e4 + torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    codec = standardize(DataSpec((2,)))
    codec.fit(x.split(10))
    torch.testing.assert_close(codec.std.flatten().double(), x.double().std(0, correction=0), rtol=1e-6, atol=0)


def test_a_constant_channel_is_only_shifted():
    x = torch.cat([torch.full((50, 1), 0.1), torch.randn(50, 1, generator=torch.Generator().manual_seed(0))], 1)
    codec = standardize(DataSpec((2,)))
    codec.fit(x.split(7))
    assert codec.std[0] == 1
    torch.testing.assert_close(codec.encode(x)[:, 0], torch.zeros(50))


def test_values_have_no_known_range_and_the_rest_of_the_spec_stays():
    spec = DataSpec((3, 4, 5), value_range=(-1.0, 1.0), gaussian=True, colormap="gray")
    from building import config

    assert config("codec", "standardize").spec(spec) == DataSpec((3, 4, 5), gaussian=True, colormap="gray")
