"""The U-Net: shapes, conditions, its layers against torch's, and what changes only speed or memory."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from gentoolkit.api import Array, DataSpec, Labels
from gentoolkit.randomness import forked
from gentoolkit_unet import UNetConfig
from gentoolkit_unet.layers import Attention, Conv, Down, Up
from gentoolkit_unet.network import UNet

SMALL = {"channels": 8, "multipliers": (1, 2), "depth": 1, "attention_levels": (1,), "head_channels": 8, "groups": 4}
IMAGES = DataSpec((3, 8, 8), Labels(4))


def built(spec=IMAGES, needs=frozenset(), **fields):
    """Return a network all of whose weights are moved, so that those that start at zero hide nothing."""
    with forked(0, "test"):
        network = UNet(UNetConfig(**{**SMALL, **fields}), spec, needs)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.1 * torch.randn(parameter.shape)
    return network


def inputs(spec=IMAGES, count=3, dtype=torch.float32):
    g = torch.Generator().manual_seed(2)
    x, t = torch.randn(count, *spec.shape, generator=g), torch.rand(count, generator=g)
    return x.to(dtype), t.to(dtype), None if spec.condition is None else torch.arange(count) % 4


def test_the_default_has_exactly_the_stated_parameters():
    network = UNet.__new__(UNet)
    with torch.device("meta"):
        UNet.__init__(network, UNetConfig(), DataSpec((3, 32, 32), Labels(10)))
    assert sum(p.numel() for p in network.parameters()) == 6_948_035


@pytest.mark.parametrize("resampling", ["learned", "average"])
@pytest.mark.parametrize("patch_size", [1, 2, 3])
@pytest.mark.parametrize("size", [(8, 8), (5, 7), (1, 12), (9, 2), (1, 1)], ids=str)
def test_images_of_any_size(size, patch_size, resampling):
    spec = DataSpec((2, *size))
    fields = {"multipliers": (1, 2, 2), "patch_size": patch_size, "resampling": resampling}
    network = built(spec, **fields).double()
    x, t, _ = inputs(spec, dtype=torch.float64)
    x.requires_grad_()
    output = network(x, t)
    assert output.shape == x.shape
    output.square().sum().backward()
    assert x.grad.all()  # no pixel is cut off


def test_at_initialization_every_block_is_the_identity():
    with forked(0, "test"):
        block = UNet(UNetConfig(**SMALL), IMAGES).middle[0]
    x, c = torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(0)), torch.ones(2, 32)
    assert torch.equal(block(x, c), x)


def test_arrays_of_any_shape_are_conditions():
    spec = DataSpec((1, 4, 4), Array((2, 3)))
    network = built(spec)
    x, t, _ = inputs(DataSpec((1, 4, 4)))
    one, other = torch.zeros(3, 2, 3), torch.ones(3, 2, 3)
    assert not torch.allclose(network(x, t, one), network(x, t, other))


def test_a_null_label_is_one_more_embedding_row():
    sizes = [sum(p.numel() for p in built(DataSpec((3, 8, 8), Labels(4, d))).parameters()) for d in (False, True)]
    assert sizes[1] - sizes[0] == 4 * 8  # the width of the embedding


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_a_convolution_is_torchs(size, stride):
    with forked(0, "test"):
        ours, torchs = Conv(4, 6, size, stride), nn.Conv2d(4, 6, size, stride, size // 2)
        x = torch.randn(2, 4, 5, 7)
    bound = (4 * size**2) ** -0.5
    assert 0.9 * bound < ours.weight.abs().max() <= bound  # of 24 draws or more, P(no larger one) is below 0.9^24 = 8 %
    with torch.no_grad():
        torchs.weight.copy_(ours.weight.view(6, 4, size, size))
        torchs.bias.copy_(ours.bias)
    torch.testing.assert_close(ours(x), torchs(x))


def test_attention_is_torchs():
    with forked(0, "test"):
        ours = Attention(16, head_channels=8, groups=4)
        torchs = nn.MultiheadAttention(16, num_heads=2, batch_first=True)
        x = torch.randn(2, 16, 3, 5)
        nn.init.normal_(ours.out.weight)
    torchs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    pixels = F.group_norm(x, 4).flatten(2).mT
    expected = x + torchs(pixels, pixels, pixels, need_weights=False)[0].mT.view_as(x)
    torch.testing.assert_close(ours(x), expected)
    ours.plain = True
    torch.testing.assert_close(ours(x), expected)


def test_a_block_normalizes_scales_and_shifts_each_sample_by_itself():
    block = built().descent[0].double()
    g = torch.Generator().manual_seed(1)
    x, c = (torch.randn(*shape, dtype=torch.float64, generator=g) for shape in ((3, 8, 4, 6), (3, 32)))
    scale, shift = block.modulation(c)[:, :, None, None].chunk(2, dim=1)
    weight, bias = block.norm.modulation.chunk(2)
    h = block.first(F.silu(F.group_norm(x, 4, 1 + weight, bias)))
    expected = x + block.second(F.silu(F.group_norm(h, 4) * (1 + scale) + shift))
    torch.testing.assert_close(block(x, c), expected)


@pytest.mark.parametrize("resampling", ["learned", "average"])
def test_changing_the_resolution(resampling):
    with forked(0, "test"):
        down, up = Down(2, resampling == "learned"), Up(2, resampling == "learned")
    x = torch.arange(30.0).reshape(1, 2, 3, 5)
    assert down(x).shape == (1, 2, 2, 3)
    assert up(x, 5, 9).shape == (1, 2, 5, 9)
    if resampling == "average":
        assert down(x)[0, 0].tolist() == [[3, 5, 6.5], [10.5, 12.5, 14]]  # at the edges, of the pixels there are
        assert torch.equal(up(x, 5, 9)[:, :, ::2, ::2], x)
        assert torch.equal(up(x, 6, 10)[:, :, 1::2, 1::2], x)


@pytest.mark.parametrize("needs", [(), ("forward_derivatives", "second_time")], ids=["fast", "plain"])
def test_the_plain_layers_give_the_same(needs):
    network = built(needs=frozenset(needs))
    fast = built()
    fast.load_state_dict({name: p for name, p in network.state_dict().items() if not name.startswith("second_time")})
    torch.testing.assert_close(network(*inputs()), fast(*inputs()), atol=1e-5, rtol=1e-5)


def test_blocks_computed_again_give_the_same_gradients_and_keep_less():
    def gradients(checkpoint_blocks):
        network, saved = built(checkpoint_blocks=checkpoint_blocks, dropout=0.5), []
        count = torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, lambda x: x)
        with count, forked(0, "dropout"):
            loss = network(*inputs()).square().sum()
        loss.backward()
        return [p.grad for p in network.parameters()], sum(saved)

    (again, fewer), (kept, more) = gradients(True), gradients(False)
    assert all(torch.equal(a, b) for a, b in zip(again, kept, strict=True))
    assert fewer < more / 2


def test_it_compiles():
    network, given = built(), inputs()
    expected = torch.autograd.grad(network(*given).square().sum(), [*network.parameters()])
    try:
        compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(*given), network(*given), atol=1e-5, rtol=1e-5)
        gradients = torch.autograd.grad(compiled(*given).square().sum(), [*network.parameters()])
    finally:
        torch.compiler.reset()
    for mine, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4 * theirs.abs().max().item(), rtol=1e-4)


def test_muon_gets_every_inner_weight_of_a_convolution():
    network = built()
    blocks = network.matrix_blocks()
    convolutions = {f"{n}.weight" for n, p in network.named_modules() if isinstance(p, Conv)}
    assert set(blocks) == convolutions - {"first.weight", "last.weight"}
    assert {name for name, count in blocks.items() if count == 3} == {n for n in blocks if n.endswith("qkv.weight")}


def test_data_that_is_no_image_is_refused():
    (problem,) = UNetConfig().check(DataSpec((7,)))
    assert problem.message == "unet takes samples of shape (channels, height, width), but the data is (7,); use mlp"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"attention_levels": (3,)}, "attention_levels has 3, but the last of the 3 levels is 2"),
        ({"groups": 24}, "groups 24 does not divide the width 64"),
        ({"groups": 64}, "groups 64 does not divide the width 64 into groups of at least two"),
        ({"head_channels": 48}, "head_channels 48 does not divide the width 128 of level 2"),
    ],
)
def test_widths_that_make_no_sense_are_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        UNetConfig(**fields)


def test_blocks_computed_twice_offer_no_derivatives_in_forward_mode():
    assert "forward_derivatives" in UNetConfig().offers()
    assert "forward_derivatives" not in UNetConfig(checkpoint_blocks=True).offers()
