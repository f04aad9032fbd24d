"""Descriptions of data that are available without importing torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Labels:
    """A class label, int64 in [0, num_classes).

    Attributes:
        num_classes: Number of classes.
        droppable: Whether training drops labels. The backbone must then accept the null label `num_classes` too.
        names: What the classes are called, for people; empty if by their numbers.
    """

    num_classes: int
    droppable: bool = False
    names: tuple[str, ...] = field(default=(), compare=False)

    def name(self, label: int) -> str:
        """Return what a class is called."""
        return self.names[label] if self.names else str(label)

    def null_like(self, condition: Tensor) -> Tensor:
        """Return the null label for each entry of `condition`, (B,)."""
        return condition * 0 + self.num_classes


@dataclass(frozen=True)
class Array:
    """A float32 array of a fixed shape, e.g. a vector, a sequence of tokens or an image.

    Attributes:
        shape: Shape of one condition, e.g. (D,).
        droppable: Whether training drops conditions. The backbone must then accept zeros as the null condition.
    """

    shape: tuple[int, ...]
    droppable: bool = False

    def null_like(self, condition: Tensor) -> Tensor:
        """Return zeros for each condition, (B, *shape)."""
        return condition * 0


@dataclass(frozen=True)
class DataSpec:
    """Description of a dataset's samples, available without importing torch.

    Attributes:
        shape: Shape of one sample, e.g. (C, H, W).
        condition: `Labels`, `Array`, or None for unconditional data.
        value_range: Smallest and largest possible value, or None if values are unbounded.
        paired: Whether each batch includes its own x0, which replaces the source and the coupling.
        gaussian: Whether the samples of each class are approximately N(mean, std² I). The evaluation then compares the
            model with the best field for a Gaussian model of each class. A dataset with a known posterior
            (`gentoolkit.protocols.KnownPosterior`) does not need this: the model is compared with the exact field.
        colormap: Matplotlib colormap in which pictures of samples (C, H, W) show channel 0. None for images: three
            channels are shown in color, one in gray; for other numbers of channels, channel 0 is shown in viridis.
    """

    shape: tuple[int, ...]
    condition: Labels | Array | None = None
    value_range: tuple[float, float] | None = None
    paired: bool = False
    gaussian: bool = False
    colormap: str | None = None

    def with_droppable_condition(self) -> DataSpec:
        """Return the spec for training that drops conditions; unconditional data is unchanged."""
        return replace(self, condition=self.condition and replace(self.condition, droppable=True))
