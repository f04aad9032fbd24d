"""Images from a folder: how many a second beside torch's `DataLoader`, and how long a training step waits for them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.reference import CPU
from benchmarks.timing import Row, interleaved, ratio
from gentoolkit.api import DataFolder
from gentoolkit.devices import Placement
from gentoolkit.pipeline import Model
from gentoolkit.pipeline.work import plan_of, state_of
from gentoolkit.randomness import Permutation, numpy_generator
from gentoolkit.recipe import load_recipe
from gentoolkit.training.loop import training_step
from gentoolkit.training.prefetch import prefetched
from gentoolkit_images import ImageFolderConfig
from gentoolkit_images.dataset import ImageFolder

SECTION = "images from a folder"
SIZE, WORKERS, BATCH = 32, 2, 64
#: Width and height of the files. Of small ones, much of the time is Python's own work, in which threads take turns.
SMALL, PHOTOS = (192, 128), (504, 376)


class Folder(Dataset[Tensor]):
    """What torchvision's `ImageFolder` does with `Resize`, `CenterCrop` and `ToTensor`."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.iterdir())

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.files[index]) as image:
            pixels = image.convert("RGB")
        scale = SIZE / min(pixels.size)
        width, height = (round(side * scale) for side in pixels.size)
        left, top = (width - SIZE) // 2, (height - SIZE) // 2
        small = pixels.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + SIZE, top + SIZE))
        return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 127.5 - 1


def write(folder: Path, number: int, size: tuple[int, int]) -> Path:
    """Write JPEG files, whose content is smooth like that of photos, and return the folder."""
    folder.mkdir()
    for i in range(number):
        coarse = numpy_generator(0, "image", i).integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / f"{i}.jpg", quality=90)
    return folder


def ours(folder: Path) -> Callable[[], None]:
    """Return what reads all images once, in a random order, as a run does."""
    data = ImageFolder(
        ImageFolderConfig(folder=DataFolder(str(folder)), image_size=SIZE, workers=WORKERS, held_out=0.01), "train", 0
    )

    def epoch() -> None:
        order = Permutation(len(data), 0, "order")(np.arange(len(data)))
        batches = (data.batch(order[first : first + BATCH]) for first in range(0, len(order), BATCH))
        with prefetched(batches) as ready:
            assert sum(len(batch) for batch in ready) == len(data)

    return epoch


def torchs(folder: Path) -> Callable[[], None]:
    """Return what reads as many images with a `DataLoader`, whose processes are kept from one epoch to the next."""
    data = Folder(folder)
    loader = DataLoader(data, BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True)

    def epoch() -> None:
        assert sum(len(batch) for batch in loader) == len(data)

    return epoch


def waiting(folder: Path, rounds: int, steps: int) -> Row:
    """Return the share of a step of recipes/your_images.yaml that passes before its batch is there."""
    recipe = load_recipe(
        Path(__file__).parents[1] / "recipes" / "your_images.yaml",
        ["device=cpu", f"dataset.folder={folder}", "dataset.held_out=0.01", "metrics=[]", "evaluate.per_class=2"],
    )
    model, placement = Model.build(recipe), Placement.choose(CPU, recipe.train.precision)
    state, plan, pairs = state_of(model, placement), plan_of(recipe, len(model.splits["train"])), model.pairs()
    state.weights.train()
    waited, taken = [], []
    with prefetched(chain.from_iterable(pairs.of_step(plan, step, CPU) for step in count())) as batches:
        for number in range((rounds + 1) * steps):
            start = time.perf_counter()
            batch = next(batches)
            ready = time.perf_counter()
            training_step(state, [batch], plan, placement)
            waited.append(ready - start)
            taken.append(time.perf_counter() - start)
            state.step = number + 1
    bursts = [slice(first, first + steps) for first in range(steps, len(taken), steps)]
    waits, times = ([sum(part[burst]) for burst in bursts] for part in (waited, taken))
    return ratio(SECTION, "waiting for a batch / step", waits, times, f"{plan.settings.batch_size} images a step")


def measure(quick: bool) -> list[Row]:
    """Return torch's time over ours and the share of waiting, for 10,000 files, or 1,000 if `quick`."""
    number, rounds = (1_000, 3) if quick else (10_000, 5)
    rows = []
    with tempfile.TemporaryDirectory() as root:
        for size in (SMALL, PHOTOS):
            folder = write(Path(root) / str(size), number, size)
            times = interleaved({"ours": ours(folder), "torch": torchs(folder)}, rounds)
            note = f"{number:,} JPEG files, {WORKERS} workers; ours: {number / min(times['ours']):,.0f} images a second"
            name = f"DataLoader / ours, {size[0]} x {size[1]} pixels"
            rows.append(ratio(SECTION, name, times["torch"], times["ours"], note))
        return [*rows, waiting(folder, rounds, 4 if quick else 8)]
