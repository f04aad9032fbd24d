"""Optimal transport: the best of all permutations."""

from itertools import permutations

import pytest
import torch

from building import built
from gentoolkit.errors import UsageError
from gentoolkit_couplings import transport

TRANSPORT = built("coupling", "optimal_transport")


def cost(x0, x1, rows):
    return (x0[rows] - x1).square().sum().item()


@pytest.mark.parametrize("seed", range(5))
def test_no_permutation_is_shorter(seed):
    generator = torch.Generator().manual_seed(seed)
    x0, x1 = torch.randn(6, 2, 3, generator=generator), 5 + torch.randn(6, 2, 3, generator=generator)
    best = min(cost(x0, x1, list(rows)) for rows in permutations(range(6)))
    assert cost(x0, x1, TRANSPORT.couple(x0, x1, None)) == pytest.approx(best, rel=1e-6)


def test_on_a_line_the_order_is_kept():
    """Squared distances are minimal if the k-th smallest x0 meets the k-th smallest x1."""
    generator = torch.Generator().manual_seed(0)
    x0, x1 = torch.randn(500, 1, generator=generator), torch.rand(500, 1, generator=generator)
    rows = TRANSPORT.couple(x0, x1, None)
    assert torch.equal(x0[rows][:, 0].argsort(), x1[:, 0].argsort())


def test_samples_far_from_the_origin_are_paired_as_well():
    generator = torch.Generator().manual_seed(1)
    x0, x1 = torch.randn(50, 2, generator=generator), torch.randn(50, 2, generator=generator)
    assert torch.equal(TRANSPORT.couple(x0, x1, None), TRANSPORT.couple(x0, x1 + 1024, None))


def test_without_scipy_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(transport, "linear_sum_assignment", None)
    with pytest.raises(UsageError, match=r"it requires scipy, .* pip install 'gentoolkit\[ot\]'"):
        built("coupling", "optimal_transport")
