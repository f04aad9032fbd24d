"""The exact posterior mean of the patterns, against draws."""

import numpy as np
import pytest
import torch

from building import built
from gentoolkit.evaluation import exact_field, fit_gaussian_classes, validation_loss
from gentoolkit_patterns import PatternsConfig
from gentoolkit_patterns.dataset import Patterns

DRAWS = 400_000


@pytest.mark.parametrize("noise_level", [0.1, 0.4, 2.0])
@pytest.mark.parametrize("t", [0.0, 0.4, 0.7])
@pytest.mark.parametrize("label", range(4))
def test_it_is_the_mean_of_draws_weighted_by_their_likelihood(label, t, noise_level):
    config = PatternsConfig(image_size=4, channels=1, noise_level=noise_level)
    data, generator = Patterns(config, "train", 0), torch.Generator().manual_seed(5)
    clean = torch.from_numpy(data.clean[label])
    y = clean + noise_level * torch.randn(DRAWS, *clean.shape, generator=generator, dtype=torch.float64)
    x1 = y / y.abs().amax((1, 2, 3), keepdim=True)
    alpha, sigma = torch.tensor([t]).double(), torch.tensor([1 - t]).double()
    for sample in x1[:3]:
        x_t = t * sample + (1 - t) * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
        weights = (-(x_t - t * x1).flatten(1).square().sum(1) / (2 * (1 - t) ** 2)).softmax(0)[:, None]
        mean = (weights * x1.flatten(1)).sum(0)
        # Of a weighted mean of independent draws (the delta method); 7 of them for 16 pixels in 108 comparisons.
        error = (weights.square() * (x1.flatten(1) - mean).square()).sum(0).sqrt()
        found = data.denoised(x_t[None], alpha, sigma, torch.tensor([label])).flatten()
        # 0.003 for the sum over m, which has few nodes: measured against 301 nodes, it is off by at most 0.0013 here.
        assert ((found - mean).abs() <= 7 * error + 0.003).all()


def test_near_the_data_it_finds_the_pixel_that_the_scaling_used():
    data = Patterns(PatternsConfig(image_size=8, channels=2), "train", 0)
    batch = data.batch(np.arange(16))
    x1, t = batch.x1.double(), torch.full((16,), 0.999, dtype=torch.float64)
    noise = torch.randn(x1.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = data.denoised(t[0] * x1 + (1 - t[0]) * noise, t, 1 - t, batch.condition)
    largest = x1.flatten(1).abs().argmax(dim=1)
    error = (found - x1).flatten(1)[torch.arange(16), largest].abs()
    # With noise of 0.001 in x_t, the largest pixel is known but where another is within some 0.003 of it.
    assert (error < 1e-6).sum() >= 12


def test_without_noise_it_is_the_clean_pattern():
    data = Patterns(PatternsConfig(image_size=8, noise_level=0.0), "train", 0)
    batch = data.batch(np.arange(4))
    t = torch.full((4,), 0.5, dtype=torch.float64)
    found = data.denoised(0.5 * batch.x1.double() + 0.5, t, t, batch.condition)
    torch.testing.assert_close(found, batch.x1.double(), rtol=0, atol=1e-5)


def test_its_field_has_the_loss_that_is_known_and_beats_a_gaussian_model_of_each_class():
    config = PatternsConfig()
    train, held_out = Patterns(config, "train", 42), Patterns(config, "held_out", 42)
    source = built("source", "gaussian", {"spec": config.spec()})
    fields = exact_field(train), fit_gaussian_classes(train, 4, seed=42).field()
    exact, gaussian = (validation_loss(field, held_out, 400, source=source, seed=42) for field in fields)
    assert exact.loss == pytest.approx(0.0579, abs=0.0028)  # seeds 42 to 47: mean 0.0579, deviation 0.0007; 4 of these
    excess, error = gaussian.excess_over(exact)
    assert excess > 4 * error > 0
