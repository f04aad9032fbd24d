"""Chunks and trajectories around a sampler: the core's part, whatever the sampler."""

import numpy as np
import pytest
import torch

from building import built
from gentoolkit.errors import NonFiniteError, PluginError
from gentoolkit.fields import Field
from gentoolkit.randomness import normal_rows
from gentoolkit.sampling import generate, sample_rows

EULER = built("sampler", "euler", num_steps=4)


class NoisySampler:
    """Adds its own noise at every step."""

    def __init__(self, scale=2):
        self.scale = scale

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        return x0 + noise(0.0, 0.5) + self.scale * noise(0.5, 1.0)


class Exploding:
    """Evaluates the field at infinity."""

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        return field.velocity(x0 / 0, torch.zeros(len(x0)), condition) + x0 / 0


def by_label(x, t, condition):
    return torch.ones_like(x) * condition[:, None]


def test_noise_depends_on_the_row_alone():
    three, seven = np.arange(3), np.arange(7)
    assert torch.equal(normal_rows(1, "source", three, (2, 2)), normal_rows(1, "source", seven, (2, 2))[:3])
    assert not torch.equal(normal_rows(1, "source", three, (2, 2)), normal_rows(2, "source", three, (2, 2)))


def test_a_sample_is_keyed_by_its_class_and_its_index_within_the_class():
    everything, one = sample_rows(np.tile([0, 1, 2], 3)), sample_rows(np.full(4, 2))
    assert len(set(everything.tolist())) == 9
    assert everything[2::3].tolist() == one[:3].tolist()
    assert sample_rows(np.zeros(3)).tolist() == [0, 1, 2]


def test_the_samplers_own_noise_is_keyed_by_the_row():
    rows, x0 = sample_rows(np.array([0, 2, 0, 2])), torch.zeros(4, 2)
    both = generate(Field(by_label), NoisySampler(), x0, rows=rows, seed=3)
    alone = generate(Field(by_label), NoisySampler(), x0[:2], rows=rows[1::2], seed=3)
    assert torch.equal(both.x1[1::2], alone.x1)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
@pytest.mark.parametrize("sampler", [EULER, NoisySampler()], ids=["euler", "noisy"])
def test_chunks_change_no_sample(sampler, batch_size):
    x0, labels = normal_rows(0, "source", np.arange(7), (2,)), torch.arange(7)
    whole = generate(Field(by_label), sampler, x0, labels, seed=3)
    chunked = generate(Field(by_label), sampler, x0, labels, seed=3, batch_size=batch_size)
    # One multiply-add per step in float32, states below 16: rounding stays under 4 steps · 16 · 2^-23.
    torch.testing.assert_close(whole.x1, chunked.x1, rtol=0, atol=8e-6)


def test_trajectory_runs_from_source_to_sample():
    x0 = normal_rows(0, "source", np.arange(5), (2,))
    samples = generate(Field(by_label), EULER, x0, torch.arange(5), batch_size=2, trajectory=True)
    assert samples.condition.tolist() == [0, 1, 2, 3, 4]
    assert samples.times == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert samples.trajectory.shape == (5, 5, 2)
    assert torch.equal(samples.trajectory[0], x0)
    assert torch.equal(samples.trajectory[-1], samples.x1)


@pytest.mark.parametrize(
    ("velocity", "sampler", "kind", "words"),
    [
        (lambda x, t, c: x / (t - 0.5)[:, None], EULER, "backbone", r"evaluation 3 of the field, at t = 0\.5"),
        (by_label, Exploding(), "sampler", "the state is not finite before evaluation 1 of"),
        (
            by_label,
            NoisySampler(scale=torch.inf),
            "sampler",
            "the samples are not finite, although all 0",
        ),
    ],
)
def test_samples_that_are_not_finite_name_what_began(velocity, sampler, kind, words):
    with pytest.raises(NonFiniteError, match=words) as caught:
        generate(Field(velocity), sampler, 10 + normal_rows(0, "source", np.arange(3), (2,)), torch.arange(3))
    assert caught.value.kind == kind


def test_a_sampler_that_returns_no_samples_is_at_fault():
    class Idle(NoisySampler):
        def sample(self, field, x0, *arguments):
            return None

    with pytest.raises(PluginError, match=r"returned a NoneType; expected a tensor of shape \(3, 2\)") as caught:
        generate(Field(by_label), Idle(), normal_rows(0, "source", np.arange(3), (2,)))
    assert caught.value.kind == "sampler"


@pytest.mark.parametrize("num_steps", [1, 7, 8, 9, 1000])
def test_a_long_trajectory_is_thinned_on_the_way(monkeypatch, num_steps):
    monkeypatch.setattr("gentoolkit.sampling.MAX_FRAMES", 8)
    sampler = built("sampler", "euler", num_steps=num_steps)
    samples = generate(Field(by_label), sampler, torch.zeros(1, 1), torch.ones(1), trajectory=True)
    assert len(samples.times) <= 9
    assert (samples.times[0], samples.times[-1]) == (0.0, 1.0)
    assert len(samples.times) == num_steps + 1 or num_steps > 7
    steps = torch.tensor(samples.times).diff()
    torch.testing.assert_close(steps[:-1], steps[:1].expand(len(steps) - 1))  # all but the last are equal
    # x = t on this field; float32 rounding of 1,000 sums below 1.
    torch.testing.assert_close(samples.trajectory.flatten(), torch.tensor(samples.times), rtol=0, atol=1e-4)
    assert torch.equal(samples.trajectory[-1], samples.x1)
