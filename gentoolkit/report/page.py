"""The page of a run: one HTML file that opens offline."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gentoolkit.safefiles import SafePath

#: Bytes that are read of a picture.
MAX_PICTURE = 2**28
MIME_TYPES = {".png": "image/png", ".gif": "image/gif", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


@dataclass(frozen=True)
class Figure:
    """A number at the top of the page.

    Attributes:
        name: What it is called.
        value: The number or text; None for one that is not finite.
        explanation: One sentence: what it is, and what would be perfect.
        references: What to compare it with, by name: "optimum", "floor".
    """

    name: str
    value: float | str | None
    explanation: str = ""
    references: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class MetricTable:
    """One metric, class by class; the fields are those of a metric result's plain form.

    Attributes:
        name: The metric's name.
        optimum: What a perfect model scores with infinitely many samples.
        value: The mean over the classes, generated against real; None where it is not finite.
        floor: The mean over the classes, real against real.
        per_class: Class name -> {"value": ..., "floor": ..., "exact": ...}; the last where it is known.
        explanation: One sentence on what it measures.
        exact: The mean over the classes, of what the exact field draws with the same sampler; None where it is not
            known.
    """

    name: str
    optimum: float
    value: float | None
    floor: float | None
    per_class: Mapping[str, Mapping[str, float | None]]
    explanation: str = ""
    exact: float | None = None


@dataclass(frozen=True)
class Validation:
    """The validation loss, whole and in equal parts of time.

    Attributes:
        loss: Mean squared velocity error per dimension; None where it is not finite.
        loss_by_t: The same in each part of [0, 1]; None where there are no samples.
        optimum: The smallest loss to be expected, or None where it is not known.
        optimum_by_t: The same in each part.
    """

    loss: float | None
    loss_by_t: Sequence[float | None]
    optimum: float | None = None
    optimum_by_t: Sequence[float] | None = None


@dataclass(frozen=True)
class Picture:
    """A picture file, which goes into the page.

    Attributes:
        path: A PNG, GIF or JPEG file.
        title: The heading above it.
        alt: What it shows, for those who do not see it.
        caption: How to read it.
    """

    path: Path
    title: str
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class ReportData:
    """All that the page shows; what is empty is left out.

    Attributes:
        name: The run's name.
        status: "finished", or how far it came.
        figures: The numbers at the top.
        metrics: Generated against real samples.
        validation: The last validation loss.
        pictures: Samples, trajectory, loss curve, in this order of showing.
        recipe: The resolved recipe as text.
        provenance: Plain data, nested at will.
        timing: What took how many seconds.
    """

    name: str
    status: str
    figures: Sequence[Figure] = ()
    metrics: Sequence[MetricTable] = ()
    validation: Validation | None = None
    pictures: Sequence[Picture] = ()
    recipe: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)


def report_page(data: ReportData) -> str:
    """Return the page's text. It loads nothing from anywhere: pictures and style are inside, there is no script."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "duration": duration, "data_uri": data_uri, "share": share}
    template = environment.get_template("template.html")
    return template.render(data=data, provenance=flatten(data.provenance), bars=time_bars(data.validation))


def number(value: float | str | None, digits: int = 4) -> str:
    """Return a number to so many significant digits, a whole number in full; text stays, None is "not finite"."""
    if isinstance(value, str):
        return value
    if value is None or not math.isfinite(value):
        return "not finite"
    if value == round(value) and abs(value) < 1e15:
        return f"{round(value):,}"
    return f"{value:#.{digits}g}".rstrip(".")


def duration(seconds: float) -> str:
    """Return seconds as "0.42 s", "42 s", "3 min 5 s" or "2 h 7 min"."""
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def data_uri(path: Path) -> str | None:
    """Return the picture as a data URI, or None where there is no such file, or a link in its place."""
    file = SafePath(path.parent) / path.name
    if not file.is_file():
        return None
    return f"data:{MIME_TYPES[path.suffix.lower()]};base64,{base64.b64encode(file.read(MAX_PICTURE)).decode()}"


def share(value: float | None, largest: float) -> str:
    """Return the value as a percentage of the largest, for the width of a bar."""
    return f"{100 * value / largest:.2f}%" if value is not None and largest > 0 else "0%"


@dataclass(frozen=True)
class TimeBar:
    """One part of time: its ends, the loss and the optimum there."""

    start: float
    end: float
    loss: float | None
    optimum: float | None


def time_bars(validation: Validation | None) -> list[TimeBar]:
    """Return the parts of time with their loss and optimum."""
    if validation is None:
        return []
    count = len(validation.loss_by_t)
    optimum: Sequence[float | None] = validation.optimum_by_t or [None] * count
    pairs = zip(validation.loss_by_t, optimum, strict=True)
    return [TimeBar(k / count, (k + 1) / count, loss, best) for k, (loss, best) in enumerate(pairs)]


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested plain data as lines: ("versions.torch", "2.13.0")."""
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            lines.append((f"{prefix}{key}", " ".join(map(str, value))))
        else:
            lines.append((f"{prefix}{key}", "none" if value is None else str(value)))
    return lines
