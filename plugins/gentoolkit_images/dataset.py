"""The images of a folder, decoded when a batch needs them."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from gentoolkit.api import UsageError
from gentoolkit.datafiles import LISTED, position, refuse, split_rows
from gentoolkit.protocols import Batch

from . import ImageFolderConfig
from .decoding import UnusableError, decoded
from .listing import listed


class ImageFolder:
    """Images of one split. In training, each may be several samples: random crops, and mirrored.

    Args:
        config: The dataset's config.
        split: "train" or "held_out".
        seed: Not used: the split and the crops depend on the names of the files alone.

    Raises:
        UsageError: Files can't be used and the config refuses them; see also `listed`.
    """

    def __init__(self, config: ImageFolderConfig, split: str, seed: int) -> None:
        files, self.config = listed(config), config
        unusable = find_unusable(config, files.names)
        faults = [f"{name}: {reason}" for name, reason in unusable.items()]
        if config.unusable == "refuse":
            found = f"{config.folder}: images that can't be used: {len(faults)} of {len(files.names)}"
            refuse(faults, f"{found}; remove or convert them, or set unusable to skip")
        elif faults:
            named = ", ".join([*faults[:LISTED], *(["..."] if len(faults) > LISTED else [])])
            warnings.warn(f"{config.folder}: skipped images: {len(faults)}: {named}", stacklevel=2)
        usable = [i for i, name in enumerate(files.names) if name not in unusable]
        order = split_rows([position(files.names[i]) for i in usable], config.held_out, split, "images")
        rows = [usable[i] for i in order]
        self.names = [files.names[i] for i in rows]
        self.condition = None
        if config.conditions:
            self.condition = torch.tensor([files.conditions[i] for i in rows], dtype=torch.float32)
        elif files.classes:
            self.condition = torch.tensor([files.labels[i] for i in rows])
        training = split == "train"
        self.mirrors = 2 if training and config.flip else 1
        self.crops = config.views if training and config.crop == "random" else 0  # 0: the center
        self.views = self.mirrors * max(1, self.crops)

    def __len__(self) -> int:
        return self.views * len(self.names)

    def batch(self, indices: np.ndarray) -> Batch:
        """Return images (B, C, H, W) float32 in [-1, 1], and labels (B,) int64 or conditions (B, D) float32 if any."""
        rows = np.asarray(indices, dtype=np.int64)
        with ThreadPoolExecutor(self.config.workers) as pool:  # kept threads would not survive a fork
            pixels_BHWC = torch.from_numpy(np.stack([*pool.map(self._decoded, rows.tolist())]))
        x1 = pixels_BHWC.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format) / 127.5 - 1
        return Batch(x1, None if self.condition is None else self.condition[rows % len(self.names)])

    def _decoded(self, index: int) -> np.ndarray:
        view, number = divmod(index, len(self.names))
        crop, mirrored = divmod(view, self.mirrors)
        name = self.names[number]
        try:
            pixels = decoded(self.config.folder.path / name, name, self.config, crop if self.crops else None)
        except UnusableError as error:
            raise UsageError(f"{self.config.folder.path / name}: {error}", kind="dataset") from None
        return pixels[:, ::-1] if mirrored else pixels


def find_unusable(config: ImageFolderConfig, names: Sequence[str]) -> dict[str, str]:
    """Return the names of the files that can't be used and why, from the cache if no file has changed since.

    The cache is below `$XDG_CACHE_HOME`, by default `~/.cache`, in a file named by the hash of names, sizes and times.
    """

    def status(name: str) -> tuple[str, int, int]:
        try:
            stat = (config.folder.path / name).stat()
            return name, stat.st_size, stat.st_mtime_ns
        except OSError:  # a link to nothing
            return name, 0, 0

    def reason(name: str) -> str:
        try:
            decoded(config.folder.path / name, name, config, None)
        except UnusableError as error:
            return str(error)
        return ""

    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gentoolkit" / "images"
    with ThreadPoolExecutor(config.workers) as pool:
        listing = repr([config.folder.path, config.background, *pool.map(status, names)])
        file = root / f"{hashlib.sha256(listing.encode('utf-8', 'surrogateescape')).hexdigest()}.json"
        try:
            known: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
            return known
        except (OSError, ValueError):
            found = {name: why for name, why in zip(names, pool.map(reason, names), strict=True) if why}
    try:
        root.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found), encoding="utf-8")
    except OSError:
        pass  # they are found again next time
    return found
