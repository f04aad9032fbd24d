"""U-Net, a convolutional network for images (Dhariwal and Nichol 2021, arXiv:2105.05233)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gentoolkit.api import BackboneConfig, Component, DataSpec, Labels, Problem, hookimpl


class UNetConfig(BackboneConfig):
    """Residual blocks at several resolutions, modulated by time and condition, with attention at some of them (ADM).

    Images of any size work, square or not. A level has half the resolution of the one before, rounded up.
    """

    channels: int = Field(default=64, ge=4)
    """Channels of the first level. The width of a level is this times its multiplier."""
    multipliers: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 2, 2), min_length=1)
    """One number for each level."""
    depth: int = Field(default=2, ge=1, le=100)
    """Number of blocks of each level on the way down. On the way up, there is one more."""
    attention_levels: tuple[Annotated[int, Field(ge=0)], ...] = (2,)
    """Levels with attention after each block, counted from 0. The middle of the network always has it."""
    head_channels: int = Field(default=32, ge=1)
    """Channels of each attention head; must divide the width of the last level and of those with attention."""
    groups: int = Field(default=16, ge=1)
    """Number of groups in group norm; must divide all widths, into groups of at least two channels."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout rate in the blocks."""
    resampling: Literal["learned", "average"] = "learned"
    """How the resolution is changed: by convolutions, or by average pooling and repetition."""
    patch_size: int = Field(default=1, ge=1)
    """Side length of the square patches whose pixels become channels. 2 makes a step about four times as fast."""
    time_scale: float = Field(default=1.0, gt=0)
    """Factor applied to t before it is embedded. 1000 resolves small differences of t."""
    checkpoint_blocks: bool = False
    """Whether the backward pass computes each block again instead of storing what is inside, to save memory."""

    @model_validator(mode="after")
    def _widths(self) -> Self:
        widths = [self.channels * multiplier for multiplier in self.multipliers]
        last = len(widths) - 1
        if missing := [level for level in self.attention_levels if level > last]:
            raise ValueError(f"attention_levels has {missing[0]}, but the last of the {last + 1} levels is {last}")
        for width in widths:
            if width % self.groups or width == self.groups:
                raise ValueError(
                    f"groups {self.groups} does not divide the width {width} into groups of at least two channels"
                )
        for level in {*self.attention_levels, last}:
            if widths[level] % self.head_channels:
                raise ValueError(
                    f"head_channels {self.head_channels} does not divide the width {widths[level]} of level {level}"
                )
        return self

    def offers(self) -> Iterable[str]:
        """Offer a second time and, unless blocks are computed twice, derivatives in forward mode."""
        return ("second_time",) if self.checkpoint_blocks else ("second_time", "forward_derivatives")

    def check(self, spec: DataSpec) -> Iterator[Problem]:
        """Yield a problem unless the data has shape (C, H, W)."""
        if len(spec.shape) != 3:
            yield Problem(
                None,
                f"unet takes samples of shape (channels, height, width), but the data is {spec.shape}; use mlp",
            )


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the backbone."""
    yield Component(
        "unet",
        UNetConfig,
        f"{__name__}.network:UNet",
        tiny={
            "channels": 8,
            "multipliers": [1, 2],
            "depth": 1,
            "attention_levels": [1],
            "head_channels": 8,
            "groups": 4,
            "dropout": 0.1,
            "patch_size": 2,
        },
        tiny_spec=DataSpec((2, 5, 6), Labels(3, droppable=True), (-1.0, 1.0)),
    )
