"""Classifier-free guidance, equation by equation."""

import torch

from building import built
from gentoolkit.api import Array, Labels
from gentoolkit.fields import Field

LABELS = Labels(3, droppable=True)


def by_label(x, t, condition):
    return torch.ones_like(x) * condition[:, None]


def cfg(field, condition=LABELS, **fields):
    return built("guidance", "cfg", **fields).guide(field, condition)


def test_guidance_is_the_equation():
    labels = torch.tensor([0, 2])
    # v_c = c, v_u = 3 (the null label): 3 + 2.5 (c - 3).
    v = cfg(Field(by_label), scale=2.5).velocity(torch.zeros(2, 1), torch.zeros(2), labels)
    assert v.flatten().tolist() == [3 + 2.5 * (0 - 3), 3 + 2.5 * (2 - 3)]


def test_guidance_of_vectors_uses_the_zero_vector():
    field = cfg(Field(lambda x, t, c: c), Array((2,), droppable=True), scale=3.0)
    assert field.velocity(torch.zeros(1, 2), torch.zeros(1), torch.tensor([[1.0, -2.0]])).tolist() == [[3.0, -6.0]]


def test_scale_one_costs_no_second_pass():
    field = Field(by_label)
    assert cfg(field, scale=1.0) is field


def test_outside_the_interval_the_model_is_evaluated_once():
    seen = []

    def counted(x, t, c):
        seen.append(c.tolist())
        return by_label(x, t, c)

    field = cfg(Field(counted), scale=2.0, start=0.25, end=0.5)
    x, labels = torch.zeros(1, 1), torch.tensor([1])
    values = [field.velocity(x, torch.tensor(t), labels).item() for t in (0.0, 0.25, 0.5, 0.75)]
    assert values == [1, 3 + 2 * (1 - 3), 3 + 2 * (1 - 3), 1]
    assert len(seen) == 6


def test_samples_in_a_batch_may_be_at_different_times():
    field = cfg(Field(by_label), scale=2.0, end=0.5)
    v = field.velocity(torch.zeros(2, 1), torch.tensor([0.4, 0.6]), torch.tensor([1, 1]))
    assert v.flatten().tolist() == [-1, 1]
