"""The operations of a step, counted by hand, are those that torch counts."""

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.limit import Product, attention, convolution, flops, linear, runner, step_products, weight_gradient
from benchmarks.plain_script import PlainDiT
from benchmarks.reference import reference
from gentoolkit.pipeline import Model


def counted(work):
    counter = FlopCounterMode(display=False)
    # torch does not count the CPU's fused attention; the backend MATH is two products.
    with counter, sdpa_kernel(SDPBackend.MATH):
        work()
    return counter.get_total_flops()


def inputs(batch_size):
    return torch.randn(batch_size, 4, 32, 32), torch.rand(batch_size), torch.arange(batch_size)


@pytest.mark.parametrize(("batch_size", "depth"), [(2, 1), (3, 2)])
def test_a_step_of_the_plain_script_has_exactly_these_operations(batch_size, depth):
    network = PlainDiT(depth=depth)
    work = counted(lambda: network(*inputs(batch_size)).square().mean().backward())
    assert work == flops(step_products(batch_size, depth=depth))


@pytest.mark.parametrize(("batch_size", "depth"), [(2, 1), (3, 2)])
def test_a_step_of_ours_has_these_and_may_compute_scores_again(batch_size, depth):
    ours, plain = Model.build(reference(f"backbone.depth={depth}")).backbone, PlainDiT(depth=depth)
    with torch.no_grad():
        assert counted(lambda: ours(*inputs(batch_size))) == counted(lambda: plain(*inputs(batch_size)))
    work = counted(lambda: ours(*inputs(batch_size)).square().mean().backward())
    scores = Product(256, 32, 256, batch=8 * batch_size).flops
    # Attention that keeps no weights computes them twice. The limit counts them once: no one needs to do it twice.
    assert work - flops(step_products(batch_size, depth=depth)) in (0, depth * scores)


def test_a_step_at_batch_64_is_543_gflop():
    assert flops(step_products(64)) == pytest.approx(542.8e9, rel=1e-3)


def test_a_linear_layer_has_three_products_and_two_without_a_gradient_of_its_input():
    layer = torch.nn.Linear(5, 7)
    with_input = counted(lambda: layer(torch.randn(11, 5, requires_grad=True)).sum().backward())
    without = counted(lambda: layer(torch.randn(11, 5)).sum().backward())
    assert (with_input, without) == (flops(linear(11, 5, 7)), flops(linear(11, 5, 7, input_gradient=False)))
    assert with_input == 3 * 2 * 11 * 5 * 7


def test_attention_has_two_products_and_four_backward():
    q, k, v = (torch.randn(6, 9, 4, requires_grad=True) for _ in range(3))
    work = counted(lambda: F.scaled_dot_product_attention(q, k, v).sum().backward())
    assert work == flops(attention(6, 9, 4)) == 6 * 2 * 6 * 9 * 9 * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_timed_is_what_is_counted(dtype):
    products = step_products(2, width=16, depth=2, heads=2, tokens=4, patch=3)
    assert counted(runner(products, dtype)) == flops(products)


def test_a_transposed_operand_is_not_copied(monkeypatch):
    seen = []
    monkeypatch.setattr(torch, "mm", lambda left, right, out: seen.append((left, right, out)))
    runner([Product(3, 4, 5, left_transposed=True, right_transposed=True)], torch.bfloat16)()
    left, right, out = seen[-1]
    assert (left.shape, right.shape, out.shape) == ((3, 4), (4, 5), (3, 5))
    assert (left.stride(), right.stride(), out.stride()) == ((1, 3), (1, 4), (5, 1))


@pytest.mark.parametrize(("way", "transposed"), [(convolution, False), (convolution, True), (weight_gradient, True)])
def test_a_convolution_is_the_product(way, transposed):
    g = torch.Generator().manual_seed(0)
    left = torch.randn(5, 7, generator=g) if not transposed else torch.randn(7, 5, generator=g).mT
    right = torch.randn(7, 3, generator=g)
    got = way(left, right)
    got = got[:, :, 0, 0] if way is weight_gradient else got.permute(0, 2, 3, 1).reshape(5, 3)
    torch.testing.assert_close(got, left @ right, rtol=0, atol=1e-5)  # 7 products below 10, rounded by 2^-24 of them
