"""Images from a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from gentoolkit.api import Array, Component, DataFile, DataFolder, DatasetConfig, DataSpec, Labels, hookimpl


class ImageFolderConfig(DatasetConfig):
    """Images of any sizes in a folder and its subfolders, as squares of one size with values in [-1, 1].

    Whether an image is held out depends on its path below the folder alone, so adding images moves none to the other
    split. Files are decoded when a batch needs them. Before training, each is decoded once to find those that can't be
    used, which is remembered in `~/.cache/gentoolkit/images` until a file changes.
    """

    folder: DataFolder
    """The folder. Files that don't have the suffix of an image and those whose name begins with a dot are ignored."""
    image_size: int = Field(default=32, ge=1)
    """Height and width of the samples, in pixels."""
    color: Literal["rgb", "gray"] = "rgb"
    """Whether the samples have three channels or one."""
    crop: Literal["center", "random", "none"] = "center"
    """Which square is taken, in training possibly at random positions. "none" makes the whole image a square."""
    shorter_side: int | None = Field(default=None, ge=1)
    """The shorter side of an image in pixels before the crop, at least image_size. By default, image_size."""
    views: int = Field(default=8, ge=1)
    """Number of random crops of each image. Each counts as a sample."""
    flip: bool = False
    """Whether each training image is also a sample mirrored from left to right."""
    labels: bool = False
    """Whether the subfolder that an image is in is its label."""
    table: DataFile | None = None
    """A CSV file with the label or the condition of each image. Its column `file` has the path below the folder."""
    label: str | None = None
    """The column of the table with the label. Its distinct values, sorted, are classes 0, 1, ..."""
    conditions: tuple[str, ...] = ()
    """The columns of the table that make the condition, a vector."""
    background: Literal["white", "black"] | None = None
    """What is behind transparent pixels. By default, images that have any can't be used."""
    unusable: Literal["refuse", "skip"] = "refuse"
    """What to do with images that are damaged or animated, or have 16 bits or CMYK. Both ways, messages name them."""
    held_out: float = Field(default=0.1, gt=0, lt=1)
    """Probability that an image is in the held-out split."""
    workers: int = Field(default=4, ge=1, le=256)
    """Number of threads that decode images."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum([self.labels, self.label is not None, bool(self.conditions)]) > 1:
            raise ValueError("set only one of labels, label and conditions")
        if (self.table is not None) != (self.label is not None or bool(self.conditions)):
            raise ValueError("table needs either label or conditions, and these need table")
        if self.shorter_side is not None and (self.crop == "none" or self.shorter_side < self.image_size):
            raise ValueError("shorter_side needs a crop, and must be at least image_size")
        return self

    def spec(self) -> DataSpec:
        """Return (1 or 3, image_size, image_size) in [-1, 1]. Raise UsageError if folder or table can't be used."""
        from .listing import listed

        files = listed(self)
        labels = Labels(len(files.classes), names=files.classes) if files.classes else None
        condition = Array((len(self.conditions),)) if self.conditions else labels
        return DataSpec((3 if self.color == "rgb" else 1, self.image_size, self.image_size), condition, (-1.0, 1.0))


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the dataset."""
    folder = str(Path(__file__).with_name("tiny"))
    tiny = {"folder": folder, "image_size": 8, "labels": True, "flip": True, "held_out": 0.3}
    yield Component("image_folder", ImageFolderConfig, f"{__name__}.dataset:ImageFolder", tiny=tiny)
