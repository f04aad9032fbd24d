"""The DiT against an independent implementation of its equations, and its stated facts."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from gentoolkit.api import Array, DataSpec, Labels
from gentoolkit.randomness import forked
from gentoolkit_dit import DiTConfig
from gentoolkit_dit.network import DiT, features

REFERENCE = DataSpec((4, 32, 32), Labels(4), (-1.0, 1.0))
SMALL = DiTConfig(hidden_size=32, depth=2, num_heads=4)


def built(config=SMALL, spec=REFERENCE, seed=0):
    with forked(seed, "test"):
        return DiT(config, spec)


def perturbed(network, seed=1):
    """Move every weight, so that zero-initialized gates hide nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network


def inputs(spec=REFERENCE, count=3, dtype=torch.float32):
    g = torch.Generator().manual_seed(2)
    x, t = torch.randn(count, *spec.shape, generator=g), torch.rand(count, generator=g)
    return x.to(dtype), t.to(dtype), torch.arange(count) % 4


class Independent(nn.Module):
    """The same equations from torch.nn's own attention, layer norm and fold, given the other's weights."""

    def __init__(self, dit, config, spec):
        super().__init__()
        self.w, self.c, self.spec = dict(dit.state_dict()), config, spec
        h = config.hidden_size
        self.attention = []
        for i in range(config.depth):
            with forked(0, "overwritten below"):
                mha = nn.MultiheadAttention(h, config.num_heads, batch_first=True)
            block = f"blocks.{i}.attention"
            mha.in_proj_weight.data, mha.in_proj_bias.data = self.w[f"{block}.qkv.weight"], self.w[f"{block}.qkv.bias"]
            mha.out_proj.weight.data, mha.out_proj.bias.data = (
                self.w[f"{block}.out.weight"],
                self.w[f"{block}.out.bias"],
            )
            self.attention.append(mha)
        self.norm = nn.LayerNorm(h, eps=1e-6, elementwise_affine=False)

    def linear(self, name, x):
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def forward(self, x, t, label):
        p, h = self.c.patch_size, self.c.hidden_size
        patches = nn.Unfold(p, stride=p)(x).transpose(1, 2)  # (B, N, C p p), rows first
        weight = self.w["patchify.weight"].flatten(1)
        tokens = patches @ weight.T + self.w["patchify.bias"] + self.w["position"]
        half = h // 2
        frequencies = [math.exp(-k * math.log(10000) / (half - 1)) for k in range(half)]
        angles = torch.stack([self.c.time_scale * t * f for f in frequencies], dim=1)
        embedded = torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
        c = self.linear("time.2", nn.GELU()(self.linear("time.0", embedded)))
        if label is not None:
            c = c + self.w["condition.weight"][label]
        s = nn.SiLU()(c)
        for i in range(self.c.depth):
            parts = self.linear(f"blocks.{i}.modulation", s)[:, None, :]
            scale1, shift1, gate1, scale2, shift2, gate2 = (parts[..., k * h : (k + 1) * h] for k in range(6))
            z = self.norm(tokens) * (1 + scale1) + shift1
            tokens = tokens + gate1 * self.attention[i](z, z, z, need_weights=False)[0]
            z = self.norm(tokens) * (1 + scale2) + shift2
            mlp = self.linear(f"blocks.{i}.mlp.2", nn.GELU()(self.linear(f"blocks.{i}.mlp.0", z)))
            tokens = tokens + gate2 * mlp
        scale, shift = self.linear("final_modulation", s)[:, None, :].chunk(2, dim=2)
        out = self.linear("head", self.norm(tokens) * (1 + scale) + shift)
        return nn.Fold(self.spec.shape[1:], p, stride=p)(out.transpose(1, 2))


def test_the_default_has_exactly_the_stated_parameters():
    network = DiT.__new__(DiT)
    with torch.device("meta"):
        DiT.__init__(network, DiTConfig(), REFERENCE)
    assert sum(p.numel() for p in network.parameters()) == 7_439_120


def test_a_null_label_is_one_more_embedding_row():
    sizes = [
        sum(p.numel() for p in built(spec=DataSpec((4, 32, 32), Labels(4, d))).parameters()) for d in (False, True)
    ]
    assert sizes[1] - sizes[0] == SMALL.hidden_size


@pytest.mark.parametrize(
    ("config", "spec"),
    [
        (SMALL, REFERENCE),
        (
            DiTConfig(hidden_size=48, depth=3, num_heads=2, patch_size=4, time_scale=1000.0),
            DataSpec((3, 8, 16), Labels(4)),
        ),
        (DiTConfig(hidden_size=32, depth=1, num_heads=1, patch_size=1), DataSpec((1, 3, 5))),
    ],
    ids=["square", "oblong", "unconditional"],
)
def test_it_equals_an_independent_implementation(config, spec):
    network = perturbed(built(config, spec))
    x, t, label = inputs(spec)
    label = label if spec.condition else None
    # The bound; float32 rounding over this depth was measured at about 2e-6.
    torch.testing.assert_close(
        network(x, t, label), Independent(network, config, spec)(x, t, label), atol=1e-5, rtol=1e-5
    )


def test_at_initialization_every_block_is_the_identity():
    network = built()
    x, c = torch.randn(2, 256, 32, generator=torch.Generator().manual_seed(0)), torch.ones(2, 32)
    for block in network.blocks:
        assert torch.equal(block(x, c), x)


def test_initial_weights_are_the_stated_ones():
    network = built(DiTConfig(depth=1))
    attention = network.blocks[0].attention
    bound = math.sqrt(6 / (256 + 768))  # Xavier uniform: sqrt(6 / (fan_in + fan_out))
    assert attention.qkv.weight.abs().max() <= bound
    assert attention.qkv.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert network.position.std().item() == pytest.approx(0.02, rel=0.02)  # 65,536 draws: 5 standard errors are 1.4 %
    assert network.head.weight.std().item() == pytest.approx(0.02, rel=0.06)  # 4,096 draws: 5 are 5.5 %
    zeros = [attention.qkv.bias, attention.out.bias, network.head.bias, network.final_modulation.weight]
    zeros += [network.final_modulation.bias, network.blocks[0].modulation.weight, network.blocks[0].modulation.bias]
    assert all(not parameter.any() for parameter in zeros)


def test_features_are_sines_then_cosines():
    values = features(torch.tensor([0.0, 2.0], dtype=torch.float64), 6)
    angles = [2.0, 2.0 / 100, 2.0 / 10000]
    assert values[0].tolist() == [0, 0, 0, 1, 1, 1]
    assert values[1].tolist() == pytest.approx([*map(math.sin, angles), *map(math.cos, angles)], abs=1e-12)


def test_vectors_condition_through_a_linear_layer():
    spec = DataSpec((1, 4, 4), Array((5,)))
    network = perturbed(built(spec=spec))
    x, t, _ = inputs(spec)
    one, other = torch.zeros(3, 5), torch.ones(3, 5)
    assert not torch.allclose(network(x, t, one), network(x, t, other))


def test_unpatchify_is_channel_major():
    network = built(DiTConfig(hidden_size=8, num_heads=2, depth=1), DataSpec((2, 2, 4)))
    tokens = torch.arange(16.0).reshape(1, 2, 8)  # 1 x 2 patches of (C=2, 2, 2)
    image = network.unpatchify(tokens)
    assert image[0, 0].tolist() == [[0, 1, 8, 9], [2, 3, 10, 11]]
    assert image[0, 1].tolist() == [[4, 5, 12, 13], [6, 7, 14, 15]]


def test_sincos_positions_tell_row_and_column():
    network = built(DiTConfig(hidden_size=16, num_heads=2, depth=1, position="sincos"), DataSpec((1, 4, 6)))
    position = network.position.detach().reshape(2, 3, 16)  # patches of 2 x 2
    rows, columns = features(torch.arange(2.0), 8), features(torch.arange(3.0), 8)
    for i in range(2):
        for j in range(3):
            assert torch.equal(position[i, j], 0.5 * torch.cat([rows[i], columns[j]]))
    assert network.position.requires_grad


def test_patches_are_the_inverse_of_unpatchify():
    network = built(DiTConfig(hidden_size=8, num_heads=2, depth=1), DataSpec((3, 4, 6)))
    image = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network.unpatchify(network.patches(image)), image)


def test_all_tokens_in_another_order_give_the_same_output():
    network = perturbed(built())
    x, t, label = inputs()
    order = torch.stack([torch.randperm(256, generator=torch.Generator().manual_seed(i)) for i in range(3)])
    expected = network.patches(network(x, t, label)).take_along_dim(order[..., None], dim=1)
    torch.testing.assert_close(network(x, t, label, order), expected, atol=1e-5, rtol=1e-5)


def test_tokens_left_out_change_nothing():
    network = perturbed(built())
    x, t, label = inputs()
    tokens = torch.arange(16).repeat(3, 1)  # the first row of patches
    other = x.clone()
    other[:, :, 2:] = 7.0
    assert torch.equal(network(x, t, label, tokens), network(other, t, label, tokens))


def test_it_compiles_with_its_gradients():
    network = perturbed(built(DiTConfig(hidden_size=16, num_heads=2, depth=1), DataSpec((1, 4, 4))))
    x, t, _ = inputs(DataSpec((1, 4, 4)))
    try:
        compiled = torch.compile(network, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(x, t), network(x, t), atol=1e-6, rtol=1e-5)
        compiled(x, t).square().sum().backward()
        assert network.position.grad.isfinite().all()
    finally:
        torch.compiler.reset()


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        (DataSpec((4, 32, 33)), "patch_size", "does not divide the 32 x 33 image; choose one of 1"),
        (DataSpec((7,)), None, "(channels, height, width)"),
    ],
)
def test_data_that_does_not_fit_is_told_before_building(spec, field, words):
    (problem,) = DiTConfig().check(spec)
    assert problem.field == field
    assert words in problem.message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hidden_size": 256, "num_heads": 7}, "not divisible by num_heads 7"),
        ({"hidden_size": 8, "num_heads": 16}, "not divisible by num_heads 16"),
        ({"hidden_size": 15, "num_heads": 3}, "is odd"),
        (
            {"hidden_size": 18, "num_heads": 3, "position": "sincos"},
            "hidden_size 18 can't be used with position sincos",
        ),
    ],
)
def test_widths_that_make_no_sense_are_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        DiTConfig(**fields)
