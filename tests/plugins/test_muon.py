"""Muon's mathematics, against torch's own and against the singular value decomposition."""

import pytest
import torch
from torch import nn

from building import config
from gentoolkit.protocols import TrainedParameter
from gentoolkit_optimizers import muon
from gentoolkit_optimizers.muon import MatrixMuon, orthogonalize


def matrices(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ours(parameters, dtype=torch.bfloat16):
    given = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1}
    matrices = [TrainedParameter(f"{index}", parameter, 1, dtype) for index, parameter in enumerate(parameters)]
    return MatrixMuon(matrices, config("optimizer", "muon", **given))


def test_in_bf16_it_is_torchs():
    """Equal operations; in a batch the products may be added up in another order, which bf16 rounds by 2^-8 each."""
    shapes = [(6, 6), (4, 20), (20, 4), (6, 6)]
    twins = [[nn.Parameter(matrices(*shape, seed=i).float()) for i, shape in enumerate(shapes)] for _ in range(2)]
    optimizers = [ours(twins[0]), torch.optim.Muon(twins[1], lr=0.1, momentum=0.9, ns_steps=5, weight_decay=0.1)]
    for step in range(3):
        for parameters, optimizer in zip(twins, optimizers, strict=True):
            for i, parameter in enumerate(parameters):
                parameter.grad = matrices(*parameter.shape, seed=10 * step + i + 100).float()
            optimizer.step()
    for a, b in zip(*twins, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=3 * 0.1 * 5 * 2**-8)


@pytest.mark.parametrize("shape", [(3, 5, 5), (2, 4, 12), (2, 12, 4), (1, 6, 8)])
@pytest.mark.parametrize("iterations", [1, 4, 5])
def test_singular_values_are_mapped_by_the_quintic_and_the_vectors_stay(shape, iterations):
    x = matrices(*shape)
    u, s, vh = torch.linalg.svd(x / x.flatten(1).norm(dim=1)[:, None, None], full_matrices=False)
    for _ in range(iterations):
        s = muon.A * s + muon.B * s**3 + muon.C * s**5
    torch.testing.assert_close(orthogonalize(x, iterations), u * s[:, None] @ vh, rtol=0, atol=1e-10)


@pytest.mark.parametrize("smallest", [1.0, 1e-2, 1e-4, 1e-8])
def test_float32_is_enough_for_wide_matrices_of_any_condition(smallest):
    """By way of G the singular values below sqrt(2^-24) of the largest are lost, which takes 2^-12 a^5 = 0.12 at most.

    a^5 = 485 is how much five iterations lengthen what is small; the bound is that of a value lost altogether.
    """
    u, _, vh = torch.linalg.svd(matrices(1, 32, 128), full_matrices=False)
    x = u * torch.logspace(0, torch.tensor(smallest).log10().item(), 32, dtype=torch.float64) @ vh
    error = orthogonalize(x.float(), 5).double() - orthogonalize(x, 5)
    assert torch.linalg.matrix_norm(error, ord=2).max() < 2**-12 * muon.A**5


def test_what_has_no_gradient_is_left_alone():
    kept, changed = nn.Parameter(torch.ones(3, 3)), nn.Parameter(torch.ones(3, 3))
    changed.grad = torch.eye(3)
    ours([kept, changed]).step()
    assert torch.equal(kept, torch.ones(3, 3))
    assert not torch.equal(changed, torch.ones(3, 3))


def test_how_many_are_taken_together_changes_nothing(monkeypatch):
    twins = [[nn.Parameter(torch.ones(4, 6)) for _ in range(5)] for _ in range(2)]
    for parameters, together in zip(twins, (2**25, 2 * 4 * 6), strict=True):
        monkeypatch.setattr(muon, "TOGETHER", together)
        for i, parameter in enumerate(parameters):
            parameter.grad = matrices(4, 6, seed=i).float()
        ours(parameters, torch.float32).step()
    for a, b in zip(*twins, strict=True):
        torch.testing.assert_close(a, b)


def test_the_iterations_are_computed_in_the_dtype():
    """Five iterations round by 2^-24 in float32 and by 2^-8 in bf16, each a few times over for the 8 x 8 products."""
    gradient, updates = matrices(8, 8), {}
    for dtype in (torch.float32, torch.bfloat16):
        parameter = nn.Parameter(torch.zeros(8, 8))
        parameter.grad = gradient.float()
        ours([parameter], dtype).step()
        updates[dtype] = parameter.detach().double() / parameter.norm()
    exact = orthogonalize(gradient[None], 5)[0]
    errors = {dtype: (update + exact / exact.norm()).abs().max() for dtype, update in updates.items()}
    assert errors[torch.float32] < 1e-5 < 1e-4 < errors[torch.bfloat16]
