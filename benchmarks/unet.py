"""The U-Net's training step, forward and backward, beside those of peers with as many parameters and operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peers import installed
from benchmarks.reference import CPU, precisions
from benchmarks.timing import Row, in_processes, interleaved, ratio
from gentoolkit.api import DataSpec, Labels
from gentoolkit.devices import Placement, keep_freed_memory
from gentoolkit_unet import UNetConfig
from gentoolkit_unet.network import UNet

SECTION = "training step of the U-Net"
IMAGES = DataSpec((3, 32, 32), Labels(10))


def ours() -> nn.Module:
    return UNet(UNetConfig(), IMAGES)


class Diffusers(nn.Module):
    """UNet2DModel with the same widths, blocks, attention and adaptive group norm."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = import_module("diffusers").UNet2DModel(
            in_channels=3,
            out_channels=3,
            block_out_channels=(64, 128, 128),
            layers_per_block=2,
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            attention_head_dim=32,
            norm_num_groups=16,
            resnet_time_scale_shift="scale_shift",
            num_class_embeds=10,
        )

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        return self.unet(x, t, label).sample


class Azula(nn.Module):
    """azula's UNet, without attention and with one norm a block; time and label are the user's.

    Args:
        channels: Width of each level.
        blocks: Number of blocks of each level, in each direction.
    """

    def __init__(self, channels: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        layers = import_module("azula.nn.layers")
        self.time = nn.Sequential(layers.SineEncoding(64), nn.Linear(64, 256), nn.SiLU(), nn.Linear(256, 256))
        self.label = nn.Embedding(10, 256)
        unet = import_module("azula.nn.unet").UNet
        self.unet = unet(3, 3, mod_features=256, hid_channels=channels, hid_blocks=blocks, norm="group")

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        return self.unet(x, self.time(t) + self.label(label))


#: azula's blocks have fewer parameters than ours. Either wider ones or more of them make up for that.
PEERS: Mapping[str, Callable[[], nn.Module]] = {
    "diffusers": Diffusers,
    "azula": partial(Azula, (96, 112, 128), (2, 3, 3)),
    "azula, our widths": partial(Azula, (64, 128, 128), (5, 2, 3)),
}


def step_of(make: Callable[[], nn.Module], batch_size: int, precision: str) -> Callable[[], None]:
    """Return what computes the gradients of a batch."""
    keep_freed_memory()
    torch.manual_seed(0)
    network, placement = make().train(), Placement(CPU, precision)
    x, t, label = torch.randn(batch_size, *IMAGES.shape), torch.rand(batch_size), torch.arange(batch_size) % 10

    def step() -> None:
        network.zero_grad()
        with placement.autocast():
            loss = network(x, t, label).float().square().mean()
        loss.backward()

    return step


def note(make: Callable[[], nn.Module]) -> str:
    """Return the number of parameters, and of the operations of a sample's forward pass."""
    network, counter = make(), FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, *IMAGES.shape), torch.zeros(1), torch.zeros(1, dtype=torch.long))
    weights = sum(parameter.numel() for parameter in network.parameters())
    return f"{weights / 1e6:.2f} M parameters, {counter.get_total_flops() / 1e9:.3f} GFLOP"


def measure(quick: bool) -> list[Row]:
    """Return the peers' times over ours; `quick` takes a smaller batch."""
    batch_size, peers = 8 if quick else 32, installed(PEERS)
    rows = []
    for precision in precisions():
        makers: dict[str, Any] = {"ours": ours, **peers}
        steps = {name: partial(step_of, make, batch_size, precision) for name, make in makers.items()}
        with in_processes(steps) as running:
            times = interleaved(running, rounds=5, warm_up=2)
        notes = {name: note(make) for name, make in makers.items()}
        rows += [
            ratio(SECTION, f"{name} {precision} / ours {precision}", times[name], times["ours"], notes[name])
            for name in peers
        ]
    return rows
