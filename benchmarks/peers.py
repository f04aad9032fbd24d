"""Peers from PyPI with a DiT of the reference's size, trained and sampled as their own users do it.

Width 256, 6 blocks, 8 heads, patch 2, 4 x 32 x 32, 4 classes; the rest is each peer's own default. All learn the linear
path by AdamW over the same samples. The peers are imported, nothing of them is copied.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.reference import CPU, endless
from gentoolkit.devices import Placement

INSTALL = "make bench installs it"
LEARNING_RATE = 1e-4

Maker = TypeVar("Maker", bound=Callable[..., Any])


class Loop:
    """The loop that the peers' examples write out, under autocast where bf16 is asked for."""

    clips = False
    #: What makes the network another one than ours.
    differs = ""

    def __init__(self, model: nn.Module, data: TensorDataset, batch_size: int, precision: str) -> None:
        self.model, self.placement = model.train(), Placement(CPU, precision)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
        self.batches = endless(DataLoader(data, batch_size, shuffle=True, drop_last=True))

    def loss(self, x1: Tensor, label: Tensor) -> Tensor:
        raise NotImplementedError

    def step(self) -> None:
        x1, label = next(self.batches)
        with self.placement.autocast():
            loss = self.loss(x1, label)
        self.optimizer.zero_grad()
        loss.backward()
        if self.clips:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        loss.item()


def diffusers_dit() -> Any:
    from diffusers import DiTTransformer2DModel
    from diffusers.utils import logging

    logging.set_verbosity_error()  # it warns of casting its weights, of which none need fp32
    return DiTTransformer2DModel(
        num_attention_heads=8, attention_head_dim=32, in_channels=4, num_layers=6, sample_size=32, num_embeds_ada_norm=4
    )


class Diffusers(Loop):
    """DiTTransformer2DModel with FlowMatchEulerDiscreteScheduler, as diffusers' flow-matching scripts train."""

    clips = True
    differs = "time and label are embedded in each block, positions fixed, tanh GELU"

    def __init__(self, data: TensorDataset, batch_size: int, precision: str) -> None:
        from diffusers import FlowMatchEulerDiscreteScheduler

        super().__init__(diffusers_dit(), data, batch_size, precision)
        self.scheduler = FlowMatchEulerDiscreteScheduler()

    def loss(self, x1: Tensor, label: Tensor) -> Tensor:
        noise, drawn = torch.randn_like(x1), torch.randint(len(self.scheduler.timesteps), (len(x1),))
        sigma = self.scheduler.sigmas[drawn][:, None, None, None]
        noisy = (1 - sigma) * x1 + sigma * noise
        predicted = self.model(noisy, timestep=self.scheduler.timesteps[drawn], class_labels=label).sample
        return (predicted.float() - (noise - x1)).square().mean()


class AzulaBackbone(nn.Module):
    """azula's DiT works on tokens; patches, time and label are the user's."""

    def __init__(self) -> None:
        super().__init__()
        dit, layers = import_module("azula.nn.dit"), import_module("azula.nn.layers")
        self.patchify = layers.Patchify((2, 2), channel_last=True)
        self.unpatchify = layers.Unpatchify((2, 2), channel_last=True)
        self.time = nn.Sequential(layers.SineEncoding(256), nn.Linear(256, 256), nn.SiLU(), nn.Linear(256, 256))
        self.label = nn.Embedding(4, 256)
        self.dit = dit.DiT(16, 16, mod_features=256, pos_channels=2, hid_channels=256, hid_blocks=6, attention_heads=8)
        rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
        self.register_buffer("places", torch.stack([rows, columns], dim=-1).flatten(0, 1))

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        tokens = self.patchify(x).flatten(1, 2)
        tokens = self.dit(tokens, self.time(t) + self.label(label), pos=self.places)
        return self.unpatchify(tokens.unflatten(1, (16, 16)))


class Azula(Loop):
    """azula's DiT in its KarrasDenoiser on the rectified schedule, whose own loss it minimizes."""

    differs = "one norm and one gate a block, half the modulation, SiLU, q and k normalized, positions fixed"

    def __init__(self, data: TensorDataset, batch_size: int, precision: str) -> None:
        denoise, noise = import_module("azula.denoise"), import_module("azula.noise")
        denoiser = denoise.KarrasDenoiser(AzulaBackbone(), noise.RectifiedSchedule())
        super().__init__(denoiser, data, batch_size, precision)

    def loss(self, x1: Tensor, label: Tensor) -> Tensor:
        denoiser: Any = self.model
        return denoiser.loss(x1, torch.rand(len(x1)), label=label)


class Smalldiffusion(Loop):
    """smalldiffusion's DiT for flow matching, with its own draws and loss.

    Its `training_loop` is the same loop under an Accelerator; one process can't have two of different precision.
    """

    differs = "positions fixed, tanh GELU, a perceptron on the label"

    def __init__(self, data: TensorDataset, batch_size: int, precision: str) -> None:
        dit, model = _submodule("smalldiffusion", "model_dit"), _submodule("smalldiffusion", "model")
        self.diffusion = _submodule("smalldiffusion", "diffusion")
        self.schedule = self.diffusion.ScheduleFlow()
        flow_dit = model.PredFlow(dit.DiT)
        network = flow_dit(32, 4, 2, 6, head_dim=32, num_heads=8, cond_embed=model.CondEmbedderLabel(256, 4))
        super().__init__(network, data, batch_size, precision)

    def loss(self, x1: Tensor, label: Tensor) -> Tensor:
        network: Any = self.model
        x1, sigma, noise, label = self.diffusion.generate_train_sample((x1, label), self.schedule, conditional=True)
        return network.get_loss(x1, sigma, noise, cond=label)


def _submodule(package: str, name: str) -> ModuleType:
    """Import a module of a package without the package's own `__init__`.

    smalldiffusion's imports torchvision for pictures that we don't use, and PyPI's torchvision can't be loaded beside a
    torch that was built for CPUs alone.
    """
    if package not in sys.modules:
        found = importlib.util.find_spec(package)
        if found is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        sys.modules[package] = importlib.util.module_from_spec(found)
    return import_module(f"{package}.{name}")


#: From the data, the batch size and the precision.
TrainingMaker = Callable[[TensorDataset, int, str], Loop]
TRAININGS: Mapping[str, TrainingMaker] = {
    "diffusers": Diffusers,
    "smalldiffusion": Smalldiffusion,
    "azula": Azula,
}


def installed(makers: Mapping[str, Maker]) -> dict[str, Maker]:
    """Return the peers whose package (their name up to a comma) is installed. Say of the others how to get it."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # smalldiffusion's bar would spoil the table
    here = {}
    for name, maker in makers.items():
        if importlib.util.find_spec(name.partition(",")[0]) is None:
            print(f"  {name} is not installed and left out; {INSTALL}", file=sys.stderr)
        else:
            here[name] = maker
    return here
