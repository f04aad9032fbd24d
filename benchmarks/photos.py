"""A folder of photographs without a download: parts of the two of scikit-learn and the one of matplotlib.

python -m benchmarks.photos FOLDER NUMBER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image


def photographs() -> list[Image.Image]:
    """Return a temple, a flower and a portrait."""
    from matplotlib.cbook import get_sample_data
    from sklearn.datasets import load_sample_images

    with Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as portrait:
        return [*map(Image.fromarray, load_sample_images().images), portrait.convert("RGB")]


def write(folder: Path, number: int) -> None:
    """Write JPEG files of parts at random places, 128 to 400 pixels wide and high, always the same ones."""
    folder.mkdir(parents=True)
    photos, draw = photographs(), np.random.default_rng(0)
    for i in range(number):
        photo = photos[i % len(photos)]
        width, height = draw.integers(128, 401, 2).tolist()
        left, top = draw.integers(0, (photo.width - width + 1, photo.height - height + 1)).tolist()
        photo.crop((left, top, left + width, top + height)).save(folder / f"{i}.jpg", quality=90)


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
