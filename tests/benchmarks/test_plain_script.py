"""The plain script is the reference recipe: the same function of the same weights, the same data, the same sampler."""

import pytest
import torch

from benchmarks.plain_script import PlainDiT, PlainTraining, plain_sample
from benchmarks.reference import reference, training_data
from gentoolkit.pipeline import Model
from gentoolkit.sampling import generate

#: Ours -> the plain script's; blocks have more.
NAMES = {
    "patchify": "patch",
    "condition": "label",
    "final_modulation": "modulation.1",
    "attention.qkv.": "attention.in_proj_",
    "attention.out.": "attention.out_proj.",
    ".modulation.": ".modulation.1.",
}


def plain_name(name):
    for ours, plain in NAMES.items():
        if ours in name:
            return name.replace(ours, plain)
    return name


@pytest.fixture(scope="module")
def pair():
    """Our network of the reference, every weight moved so that zero gates hide nothing, and the plain one with them."""
    model = Model.build(reference("backbone.depth=2"))
    generator, plain = torch.Generator().manual_seed(1), PlainDiT(depth=2).eval()
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    weights = {plain_name(name): value for name, value in model.backbone.state_dict().items()}
    plain.load_state_dict(weights | {"patch.weight": weights["patch.weight"].unflatten(1, (4, 2, 2))})
    return model, plain


def inputs(count=2):
    g = torch.Generator().manual_seed(2)
    return torch.randn(count, 4, 32, 32, generator=g), torch.rand(count, generator=g), torch.arange(count) % 4


def test_it_has_the_parameters_of_the_reference():
    assert sum(p.numel() for p in PlainDiT().parameters()) == 7_439_120
    assert sum(p.numel() for p in Model.build(reference()).backbone.parameters()) == 7_439_120


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_its_network_equals_ours(pair, mode):
    model, plain = pair
    expected = plain.train(mode == "train")(*inputs())
    plain.eval()
    # float32 rounding over two blocks: 1e-6 of values of order 1 was measured.
    torch.testing.assert_close(model.backbone(*inputs()), expected, atol=1e-5, rtol=1e-5)


def test_it_samples_as_our_euler_sampler_does(pair):
    model, plain = pair
    _, _, label = inputs()
    with torch.random.fork_rng(devices=[]):
        x0 = torch.randn(2, 4, 32, 32)
    ours = generate(model.field(), model.sampler.with_num_steps(3), x0, label)
    torch.testing.assert_close(plain_sample(plain, label, 3), ours.x1, atol=1e-4, rtol=1e-4)


def test_its_data_are_the_references():
    x1, label = training_data().tensors
    expected = Model.build(reference("backbone.depth=1")).splits["train"].batch([0, 1, 7, 1999])
    assert x1.shape == (2000, 4, 32, 32)
    assert torch.equal(x1[[0, 1, 7, 1999]], expected.x1)
    assert torch.equal(label[[0, 1, 7, 1999]], expected.condition)


def test_its_step_trains():
    training = PlainTraining(training_data(), batch_size=2)
    before = training.model.head.weight.detach().clone()
    training.step()
    assert not torch.equal(training.model.head.weight, before)
