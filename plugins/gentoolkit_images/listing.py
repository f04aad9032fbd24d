"""The images of a folder with their labels or conditions, without opening any and without torch."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePath

from gentoolkit.api import UsageError
from gentoolkit.datafiles import CsvTable, in_order, is_number, position, refuse, split_rows

from . import ImageFolderConfig

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp")


@dataclass
class Listing:
    """The images of a folder.

    Attributes:
        names: Their paths below the folder, with slashes, sorted.
        labels: The class of each, or empty.
        classes: The names of the classes.
        conditions: The condition of each, or empty.
    """

    names: list[str]
    labels: list[int] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    conditions: list[list[float]] = field(default_factory=list)


def listed(config: ImageFolderConfig) -> Listing:
    """Return the images.

    Raises:
        UsageError: There are none, or too few for both splits; one has no label; the table does not fit the images.
    """
    files = Listing(_names(config))
    split_rows([*map(position, files.names)], config.held_out, "train", "images")  # raises an error if a split is empty
    values: list[str] = []
    if config.labels:
        lonely = [name for name in files.names if "/" not in name]
        refuse(lonely, f"{config.folder}: images in no subfolder, which would be their label: {len(lonely)}")
        values = [name.split("/", 1)[0] for name in files.names]
    elif config.table is not None:
        cells = _cells(config, files.names)
        if config.label is not None:
            values = [row[0] for row in cells]
        else:
            files.conditions = [[*map(float, row)] for row in cells]
    files.classes = in_order(values)
    number = {value: i for i, value in enumerate(files.classes)}
    files.labels = [number[value] for value in values]
    return files


def _names(config: ImageFolderConfig) -> list[str]:
    names, others = [], Counter[str]()

    def unreadable(error: OSError) -> None:
        raise UsageError(f"{error.filename}: can't be read: {error.strerror}", kind="dataset")

    for folder, subfolders, files in os.walk(config.folder, onerror=unreadable):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        below = os.path.relpath(folder, config.folder).replace(os.sep, "/")
        for name in files:
            suffix = PurePath(name).suffix.lower()
            if suffix in SUFFIXES and not name.startswith("."):
                names.append(name if below == "." else f"{below}/{name}")
            else:
                others[suffix] += 1
    if not names:
        ignored = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in others.most_common(3))
        found = f"other files: {ignored}" if others else "it is empty"
        known = ", ".join(SUFFIXES)
        raise UsageError(f"{config.folder}: has no images ({known}); {found}", kind="dataset")
    return sorted(names)


def _cells(config: ImageFolderConfig, names: list[str]) -> list[list[str]]:
    """Return the cells of the label or of the conditions in the row of each image."""
    assert config.table is not None
    table = CsvTable(config.table.path)
    file = table.index("file")
    columns = [table.index(name) for name in config.conditions or (config.label or "",)]
    rows: dict[str, list[str]] = {}
    faults, expected = [], set(names)
    for line, cells in table.rows():
        name = cells[file].replace("\\", "/").removeprefix("./")
        if name in rows:
            faults.append(f"line {line}: {name} has a row already")
        elif name not in expected:
            faults.append(f"line {line}: there is no image {name}")
        for i in columns:
            if not cells[i] or (config.conditions and not is_number(cells[i])):
                wrong = f"{cells[i][:40]!r} is not a number" if cells[i] else "is empty"
                faults.append(f"line {line}, column {table.columns[i]!r}: {wrong}")
        rows[name] = [cells[i] for i in columns]
    faults += [f"{name}: has no row" for name in names if name not in rows]
    refuse(faults, f"{config.table}: does not fit the images in {config.folder}")
    return [rows[name] for name in names]
