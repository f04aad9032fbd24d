"""The Inception network of the Fréchet Inception distance (FID), with the weights in a file that the user has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu

from gentoolkit.api import DataSpec, UsageError
from gentoolkit.protocols import Dataset
from gentoolkit.randomness import forked

from . import InceptionConfig
from .images import unit_colors

#: Side of the images that the network was trained on.
SIZE = 299


class Layer(nn.Module):
    """A convolution, a batch normalization and a ReLU. The padding keeps the size unless the stride is 2."""

    def __init__(self, inner: int, outer: int, kernel: int | tuple[int, int] = 1, stride: int = 1, padded: bool = True):
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (sides[0] // 2, sides[1] // 2) if padded and stride == 1 else 0
        self.conv = nn.Conv2d(inner, outer, sides, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outer, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output."""
        return relu(self.bn(self.conv(x)))


class Chain(nn.Module):
    """Layers one after the other. A list of layers is applied side by side, and the outputs are joined."""

    def __init__(self, inner: int, *specs: Any) -> None:
        super().__init__()
        self.steps = nn.ModuleList()
        for spec in specs:
            beside = spec if isinstance(spec, list) else [spec]
            self.steps.append(nn.ModuleList(Layer(inner, *one) for one in beside))
            inner = sum(one[0] for one in beside)
        self.channels = inner

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the last layers."""
        for beside in self.steps:
            assert isinstance(beside, nn.ModuleList)
            x = torch.cat([layer(x) for layer in beside], 1)
        return x


class Mixed(nn.Module):
    """Chains side by side, and a pool, after which there is a layer unless the stride is 2."""

    def __init__(self, inner: int, chains: Sequence[Sequence[Any]], pooled: int = 0, largest: bool = False) -> None:
        super().__init__()
        made = [Chain(inner, *chain) for chain in chains]
        self.chains = nn.ModuleList(made)
        self.pooled = Layer(inner, pooled) if pooled else None
        self.largest = largest
        self.channels = sum(chain.channels for chain in made) + (pooled or inner)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of all chains, joined."""
        if self.pooled is None:
            pool = max_pool2d(x, 3, 2)
        elif self.largest:
            pool = self.pooled(max_pool2d(x, 3, 1, 1))
        else:
            pool = self.pooled(avg_pool2d(x, 3, 1, 1, count_include_pad=False))
        return torch.cat([*(chain(x) for chain in self.chains), pool], 1)


def _mixed(inner: int) -> list[nn.Module]:
    """Return the mixed blocks 5b to 7c (Szegedy et al. 2016, arXiv:1512.00567, Fig. 5 to 7)."""
    a = [[(64,)], [(48,), (64, 5)], [(64,), (96, 3), (96, 3)]]
    b = [[(384, 3, 2)], [(64,), (96, 3), (96, 3, 2)]]
    d = [[(192,), (320, 3, 2)], [(192,), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)]]
    halves = [(384, (1, 3)), (384, (3, 1))]
    e = [[(320,)], [(384,), halves], [(448,), (384, 3), halves]]

    def c(w: int) -> list[Any]:
        long = [(w,), (w, (7, 1)), (w, (1, 7)), (w, (7, 1)), (192, (1, 7))]
        return [[(192,)], [(w,), (w, (1, 7)), (192, (7, 1))], long]

    blocks: list[nn.Module] = []
    parts: list[Any] = [
        (a, 32),
        (a, 64),
        (a, 64),
        (b, 0),
        (c(128), 192),
        (c(160), 192),
        (c(160), 192),
        (c(192), 192),
        (d, 0),
    ]
    for chains, pooled, *largest in [*parts, (e, 192), (e, 192, True)]:
        block = Mixed(inner, chains, pooled, *largest)
        blocks.append(block)
        inner = block.channels
    return blocks


def names() -> list[str]:
    """Return the names of the layers in the file, in the order of the network's."""
    a = "1x1 5x5_1 5x5_2 3x3dbl_1 3x3dbl_2 3x3dbl_3 _pool"
    b = "3x3 3x3dbl_1 3x3dbl_2 3x3dbl_3"
    c = "1x1 7x7_1 7x7_2 7x7_3 7x7dbl_1 7x7dbl_2 7x7dbl_3 7x7dbl_4 7x7dbl_5 _pool"
    d = "3x3_1 3x3_2 7x7x3_1 7x7x3_2 7x7x3_3 7x7x3_4"
    e = "1x1 3x3_1 3x3_2a 3x3_2b 3x3dbl_1 3x3dbl_2 3x3dbl_3a 3x3dbl_3b _pool"
    blocks = {"5b": a, "5c": a, "5d": a, "6a": b, "6b": c, "6c": c, "6d": c, "6e": c, "7a": d, "7b": e, "7c": e}
    stem = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"]
    return stem + [f"Mixed_{block}.branch{layer}" for block, layers in blocks.items() for layer in layers.split()]


@forked(0, "weights that are replaced")
def network() -> nn.Sequential:
    """Return the network up to the average over the image: (N, 3, 299, 299) -> (N, 2048)."""
    stem = [Layer(3, 32, 3, 2), Layer(32, 32, 3, 1, False), Layer(32, 64, 3), nn.MaxPool2d(3, 2)]
    stem += [Layer(64, 80), Layer(80, 192, 3, 1, False), nn.MaxPool2d(3, 2)]
    return nn.Sequential(*stem, *_mixed(192), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def resized(x: Tensor, side: int) -> Tensor:
    """Return images resized as by TensorFlow 1: bilinear, without antialiasing, pixel i at i · (old size / new size).

    FID is defined by this resizing: others change it by several units (Parmar et al. 2022, arXiv:2104.11222).
    """
    for axis in (2, 3):
        places = torch.arange(side, dtype=torch.float32) * torch.tensor(x.shape[axis] / side)
        low = places.long()
        weight = (places - low).reshape(-1, *(1,) * (3 - axis))
        a, b = x.index_select(axis, low), x.index_select(axis, (low + 1).clamp(max=x.shape[axis] - 1))
        x = a + (b - a) * weight
    return x


class Inception(nn.Module):
    """The 2,048 features of which FID is the Fréchet distance (Heusel et al. 2017, arXiv:1706.08500)."""

    preprocessing = (
        f"values to whole numbers from 0 to 255; gray to RGB; resized to {SIZE} x {SIZE} pixels as by TensorFlow 1 "
        "(bilinear, no antialiasing); minus 128, divided by 128"
    )

    def __init__(self, config: InceptionConfig, spec: DataSpec, seed: int, train: Dataset) -> None:
        super().__init__()
        assert spec.value_range is not None
        self.value_range = spec.value_range
        self.network = network()
        try:
            theirs = torch.load(config.file, map_location="cpu", weights_only=True)
            layers = [module for module in self.network.modules() if isinstance(module, Layer)]
            for name, layer in zip(names(), layers, strict=True):
                start = f"{name}."
                own = {key.removeprefix(start): value for key, value in theirs.items() if key.startswith(start)}
                layer.load_state_dict({"bn.num_batches_tracked": torch.tensor(0)} | own)
        except Exception as error:  # whatever is wrong with a file that the user gives
            raise UsageError(
                f"inception: {config.file} can't be read: {type(error).__name__}: {error}; expected the weights "
                "pt_inception-2015-12-05-6726825d.pth, a state dict for torch-fidelity or pytorch-fid"
            ) from None
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of images (N, C, H, W): (N, 2048) float32."""
        whole = (unit_colors(x, self.value_range) * 255).round()
        return self.network((resized(whole, SIZE) - 128) / 128)
