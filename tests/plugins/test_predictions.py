"""The losses of other papers, each against a formula that is written here from the paper, in float64."""

import pytest
import torch

from building import built
from gentoolkit.fields import Field
from gentoolkit.paths import LINEAR
from gentoolkit.protocols import Batch, TrainingContext

COUNT, SHAPE = 64, (2, 3)


class GivenTimes:
    """A generator whose uniform numbers are given."""

    def __init__(self, u):
        self.u = u

    def uniform(self):
        return self.u


def drawn():
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(COUNT, *SHAPE, generator=generator, dtype=torch.float64) for _ in range(2))


def network(x, t, condition):
    """Any function of what a network receives."""
    return torch.tanh(1.3 * x + t[:, None, None]) - 0.2 * x


def record_of(objective, u, x0, x1):
    return objective.loss(network, Batch(x1, None, x0), TrainingContext(GivenTimes(u)))


def times_in(objective):
    first, last = objective.prediction.domain(objective.path)
    return torch.linspace(first, last, COUNT, dtype=torch.float64)


def mean_square(x):
    return x.square().flatten(1).mean(1)


def column(t):
    return t[:, None, None]


@pytest.mark.parametrize("data_std", [0.5, 1.7])
def test_edm_is_table_1_of_karras_et_al(data_std):
    """lambda(s) |D(y + n; s) - y|², D = c_skip x + c_out F(c_in x; c_noise), n = s x0 (arXiv:2206.00364, Eq. 7, 8)."""
    prediction = {"type": "edm", "data_std": data_std}
    objective = built("objective", "flow_matching", prediction=prediction, error="output")
    (x0, y), t = drawn(), times_in(objective)
    s = (1 - t) / t
    assert (s.min().item(), s.max().item()) == (pytest.approx(0.002, rel=1e-9), pytest.approx(80, rel=1e-9))
    c_skip, c_out = data_std**2 / (s**2 + data_std**2), s * data_std / (s**2 + data_std**2).sqrt()
    c_in, c_noise = 1 / (s**2 + data_std**2).sqrt(), s.log() / 4
    weight = (s**2 + data_std**2) / (s * data_std) ** 2
    x = y + column(s) * x0
    denoised = column(c_skip) * x + column(c_out) * network(column(c_in) * x, c_noise, None)
    torch.testing.assert_close(
        record_of(objective, t, x0, y).loss, weight * mean_square(denoised - y), rtol=1e-6, atol=0
    )
    field = objective.field(network)
    torch.testing.assert_close(field.denoised(column(t) * x, t), denoised, rtol=1e-9, atol=1e-9)


def test_its_noise_levels_are_log_normal():
    """ln s ~ N(P_mean, P_std²) with P_mean = -1.2 and P_std = 1.2: its u-quantile is P_mean + P_std Phi^-1(u)."""
    times = built("times", "logit_normal", mean=1.2, std=1.2)
    u = torch.linspace(0.001, 0.999, 99, dtype=torch.float64)
    t = times.quantile(u, LINEAR)
    torch.testing.assert_close(((1 - t) / t).log(), -1.2 + 1.2 * torch.special.ndtri(1 - u), rtol=1e-9, atol=1e-9)


def test_ddpm_is_equation_14_of_ho_et_al():
    """|eps - eps_theta(sqrt(a) x_0 + sqrt(1 - a) eps, t)|² (arXiv:2006.11239), with a the squared sine."""
    objective = built("objective", "flow_matching", path="cosine", prediction="noise", error="noise")
    (eps, data), t = drawn(), times_in(objective)
    a = torch.sin(torch.pi / 2 * t) ** 2
    noisy = column(a.sqrt()) * data + column((1 - a).sqrt()) * eps
    expected = mean_square(eps - network(noisy, t, None))
    torch.testing.assert_close(record_of(objective, t, eps, data).loss, expected, rtol=1e-6, atol=0)


def test_data_prediction_with_the_loss_of_the_velocity_is_that_of_li_and_he():
    """|v_theta - v|² with v_theta = (x_theta - z) / (1 - t), v = (x - z) / (1 - t): arXiv:2511.13720, Eq. 6."""
    objective = built("objective", "flow_matching", prediction="data")
    (noise, x), t = drawn(), times_in(objective)
    z = column(t) * x + column(1 - t) * noise
    v_theta, v = (network(z, t, None) - z) / column(1 - t), (x - z) / column(1 - t)
    record = record_of(objective, t, noise, x)
    torch.testing.assert_close(record.loss, mean_square(v_theta - v), rtol=1e-6, atol=0)
    torch.testing.assert_close(objective.field(network).denoised(z, t), network(z, t, None))


@pytest.mark.parametrize("error", ["velocity", "denoised", "noise", "output"])
@pytest.mark.parametrize("prediction", ["velocity", "data", "noise", "edm"])
@pytest.mark.parametrize("path", ["linear", "cosine"])
def test_every_error_is_that_of_the_fields_quantity(path, prediction, error):
    """The loss is the squared error of what the field returns, and `velocity_error` that of its velocity."""
    objective = built("objective", "flow_matching", path=path, prediction=prediction, error=error)
    (x0, x1), t = drawn(), times_in(objective)[1:-1]
    x0, x1 = x0[1:-1], x1[1:-1]
    record, field = record_of(objective, t, x0, x1), objective.field(network)
    x_t, v = objective.path.interpolate(x0, x1, t), objective.path.velocity(x0, x1, t)
    exact = {"velocity": v, "denoised": x1, "noise": x0}
    errors = {name: mean_square(getattr(field, name)(x_t, t) - value) for name, value in exact.items()}
    # Conversions near the ends divide rounding errors of 1e-16 by 1e-3, twice.
    torch.testing.assert_close(record.velocity_error, errors["velocity"], rtol=1e-6, atol=1e-9)
    if error in errors:
        torch.testing.assert_close(record.loss, errors[error], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("path", ["linear", "cosine"])
def test_the_time_of_a_noise_level(path):
    path = built("path", path)
    for level in (0.002, 1.0, 80.0):
        t = torch.tensor(path.time_of(level), dtype=torch.float64)
        assert (path.sigma(t) / path.alpha(t)).item() == pytest.approx(level, rel=1e-9)


def test_a_data_prediction_loses_nothing_near_the_data():
    """Converted from a float32 velocity, `denoised` would lose digits; here it is what the network says, to the bit."""
    field = built("objective", "flow_matching", prediction="data").field(lambda x, t, c: x.sin())
    x, t = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.full((8,), 0.999)
    assert torch.equal(field.denoised(x, t), x.sin())
    assert isinstance(field, Field)
