"""Gaussian mixtures: their samples, and their posterior mean against integrals and derivatives."""

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from building import built, config
from gentoolkit.errors import UsageError
from gentoolkit.evaluation import reference_field, validation_loss

MEANS = [[-1.0, 0.5], [2.0, 0.0], [0.0, -1.5]]
COVARIANCES = [[[0.5, 0.3], [0.3, 0.4]], [[0.1, 0.0], [0.0, 0.9]], [[0.2, -0.1], [-0.1, 0.1]]]
WEIGHTS = [1.0, 2.0, 5.0]
PLANE = {"means": MEANS, "covariances": COVARIANCES, "weights": WEIGHTS}


def mixture(split="train", seed=3, **fields):
    return built("dataset", "gaussian_mixture", {"split": split, "seed": seed}, **{"num_samples": 100, **fields})


def everything(dataset):
    return dataset.batch(np.arange(len(dataset)))


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def noisy(alpha, sigma, label=None):
    """Return the distribution of alpha x1 + sigma x0, by torch, and the noisy points to look at."""
    spread = alpha**2 * double(COVARIANCES) + sigma**2 * torch.eye(2).double()
    means = alpha * double(MEANS)
    grid = torch.cartesian_prod(*[torch.linspace(-3, 3, 9).double()] * 2)
    if label is not None:
        return MultivariateNormal(means[label], spread[label]), grid
    return MixtureSameFamily(Categorical(double(WEIGHTS)), MultivariateNormal(means, spread)), grid


@pytest.mark.parametrize("label", [None, 0, 2])
@pytest.mark.parametrize(("alpha", "sigma"), [(0.1, 0.9), (0.5, 0.5), (0.8, 0.6), (0.97, 0.05)])
def test_the_posterior_mean_follows_from_the_score(alpha, sigma, label):
    """Tweedie: alpha E[x1 | x_t] = x_t + sigma² ∇ log p_t(x_t), with the derivative by autograd."""
    density, x = noisy(alpha, sigma, label)
    x.requires_grad_()
    (score,) = torch.autograd.grad(density.log_prob(x).sum(), x)
    levels = torch.full((len(x),), alpha).double(), torch.full((len(x),), sigma).double()
    condition = None if label is None else torch.full((len(x),), label)
    found = mixture(**PLANE).denoised(x.detach(), alpha + 0 * levels[0], sigma + 0 * levels[1], condition)
    # Both are float64; the score of size up to 3 / sigma² is rounded, then multiplied by sigma² / alpha.
    torch.testing.assert_close(found, (x + sigma**2 * score).detach() / alpha, rtol=1e-11, atol=1e-11)


def test_without_signal_it_is_the_mean_of_the_mixture_or_of_the_component():
    data, x = mixture(**PLANE), torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).double()
    zero, one = torch.zeros(3).double(), torch.ones(3).double()
    mean = (double(WEIGHTS)[:, None] * double(MEANS)).sum(0) / 8
    torch.testing.assert_close(data.denoised(x, zero, one, None), mean.expand(3, 2))
    torch.testing.assert_close(data.denoised(x, zero, one, torch.tensor([2, 0, 1])), double(MEANS)[[2, 0, 1]])


@pytest.mark.parametrize("alpha", [0.2, 0.7, 0.95])
def test_on_a_line_it_is_the_integral_of_bayes_rule(alpha):
    """The posterior mean as a ratio of trapezoidal sums, which converge exponentially for Gaussians."""
    data = mixture(means=[[-1.0], [0.5], [2.0]], std=0.3, weights=[0.2, 0.5, 0.3])
    x1, sigma = torch.linspace(-6, 7, 20_001, dtype=torch.float64), 1 - alpha
    parts = (-(((x1[:, None] - double([-1.0, 0.5, 2.0])) / 0.3) ** 2) / 2).exp()
    for x_t in torch.linspace(-2, 2.5, 7).double():
        weights = (parts @ double([0.2, 0.5, 0.3])) * (-(((x_t - alpha * x1) / sigma) ** 2) / 2).exp()
        expected = (weights * x1).sum() / weights.sum()
        found = data.denoised(x_t.reshape(1, 1), double([alpha]), double([sigma]), None)
        # The spacing of 6.5e-4 is a 77th of the narrowest factor's deviation: what is left is rounding.
        torch.testing.assert_close(found.squeeze(), expected, rtol=1e-12, atol=1e-12)


def test_components_without_spread_are_points_and_far_points_do_not_overflow():
    data = mixture(means=MEANS, std=0.0)
    x = double([[1e4, -1e4], [-0.9, 0.4]])
    found = data.denoised(x, double([0.9, 0.9]), double([1e-3, 1e-3]), None)
    torch.testing.assert_close(found, double([MEANS[1], MEANS[0]]))


def test_samples_have_the_weights_means_and_covariances_of_their_components():
    batch, n = everything(mixture(**PLANE, num_samples=80_000, labels=True)), 80_000
    shares = batch.condition.bincount() / n
    for k, share in enumerate([1 / 8, 2 / 8, 5 / 8]):
        # Six binomial deviations
        assert abs(shares[k] - share) < 6 * (share * (1 - share) / n) ** 0.5
        x, covariance = batch.x1[batch.condition == k].double(), double(COVARIANCES[k])
        whitened = torch.linalg.solve_triangular(
            torch.linalg.cholesky(covariance), (x - double(MEANS[k])).T, upper=False
        )
        count = whitened.shape[1]
        # Means deviate by 1 / sqrt(count), products of two by at most sqrt(2 / count); six of these.
        assert whitened.mean(1).abs().max() < 6 / count**0.5
        products = whitened @ whitened.T / count
        assert (products - torch.eye(2)).abs().max() < 6 * (2 / count) ** 0.5


def test_labels_change_no_point_and_splits_and_seeds_differ():
    with_labels, without = (everything(mixture(**PLANE, labels=labels)) for labels in (True, False))
    assert torch.equal(with_labels.x1, without.x1)
    assert without.condition is None
    splits = [
        everything(data).x1 for data in (mixture(**PLANE), mixture("held_out", **PLANE), mixture(seed=4, **PLANE))
    ]
    assert len(torch.cat(splits).unique(dim=0)) == 300


@pytest.mark.parametrize("labels", [False, True])
def test_the_evaluation_shows_the_exact_field_whose_loss_no_gaussian_model_reaches(labels):
    fields = {**PLANE, "labels": labels, "num_samples": 4000}
    data, held_out = mixture(**fields), mixture("held_out", **fields)
    reference = reference_field(data, 3 if labels else 1, gaussian=False, seed=0)
    assert reference.name == "exact field"
    source = built("source", "gaussian", {"spec": config("dataset", "gaussian_mixture", **fields).spec()})

    class Unknown:
        """The same data, without its posterior."""

        batch = staticmethod(data.batch)

        def __len__(self):
            return len(data)

    other = reference_field(Unknown(), 3 if labels else 1, gaussian=True, seed=0)
    losses = [validation_loss(ref.field, held_out, 4000, source=source, seed=1) for ref in (reference, other)]
    excess, error = losses[1].excess_over(losses[0])
    assert excess > 5 * error > 0


def test_spec_of_a_mixture():
    spec = config("dataset", "gaussian_mixture", means=[[0.0] * 5, [1.0] * 5], std=0.1, labels=True).spec()
    assert (spec.shape, spec.condition.num_classes, spec.gaussian) == ((5,), 2, True)
    assert not config("dataset", "gaussian_mixture", **PLANE, labels=True).spec().gaussian
    assert not config("dataset", "gaussian_mixture", means=MEANS, std=0.1).spec().gaussian


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"means": [[0.0, 1.0], [2.0]], "std": 1.0}, "lists of equally many numbers"),
        ({"means": [[]], "std": 1.0}, "at least one"),
        ({"means": MEANS}, "set either std or covariances"),
        ({**PLANE, "std": 1.0}, "set either std or covariances"),
        ({**PLANE, "weights": [1.0, 2.0]}, "weights must be 3 positive numbers"),
        ({**PLANE, "weights": [1.0, 2.0, 0.0]}, "weights must be 3 positive numbers"),
        ({"means": MEANS, "covariances": COVARIANCES[:2]}, "covariances must be 3 matrices"),
        ({"means": [[0.0]], "covariances": [[[1.0, 0.0]]]}, "of 1 x 1"),
        ({"means": [[0.0, 0.0]], "covariances": [[[1.0, 0.5], [0.4, 1.0]]]}, "symmetric"),
    ],
)
def test_a_mixture_that_is_none_is_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        config("dataset", "gaussian_mixture", **fields)


def test_a_matrix_with_a_negative_eigenvalue_is_no_covariance():
    with pytest.raises(UsageError, match=r"covariances\[0\] has the negative eigenvalue -1; expected none below 0"):
        mixture(means=[[0.0, 0.0]], covariances=[[[1.0, 2.0], [2.0, 1.0]]])
