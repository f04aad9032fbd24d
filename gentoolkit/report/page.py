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
        std: The standard deviation of the value; None where it is not known.
        references: What to compare it with, by name: "exact field", "floor"; each a value and its standard deviation.
    """

    name: str
    value: float | str | None
    explanation: str = ""
    std: float | None = None
    references: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class MetricTable:
    """One metric, group by group.

    Attributes:
        name: The metric's name.
        optimum: The value for equal distributions as the number of samples grows.
        rows: Group name -> {"value": ..., "value_std": ..., "floor": ..., "floor_std": ..., "reference": ...,
            "reference_std": ...}: generated against real, real against real, and the reference field's samples.
        totals: The same for the mean over the classes and for all classes together, where there are several.
        explanation: One sentence on what it measures.
        reference: The name of the reference field, or None where there is none.
    """

    name: str
    optimum: float
    rows: Mapping[str, Mapping[str, float | None]]
    totals: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    explanation: str = ""
    reference: str | None = None


@dataclass(frozen=True)
class ReferenceLoss:
    """The validation loss of a reference field on the same samples, times and noise.

    Attributes:
        name: What the field is called.
        explanation: What it is, in a sentence.
        loss: Its loss.
        loss_by_t: Its loss in each part of time.
        excess: How much larger the model's loss is.
        excess_error: The standard error of the excess.
    """

    name: str
    explanation: str
    loss: float | None
    loss_by_t: Sequence[float | None]
    excess: float | None
    excess_error: float | None


@dataclass(frozen=True)
class Validation:
    """The validation loss, whole and in equal parts of time.

    Attributes:
        loss: Mean squared velocity error per dimension; None where it is not finite.
        loss_by_t: The same in each part of [0, 1]; None where there are no samples.
        path: The name of the path that the velocity belongs to.
        reference: The same of a reference field, where there is one.
    """

    loss: float | None
    loss_by_t: Sequence[float | None]
    path: str = "linear"
    reference: ReferenceLoss | None = None


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
        note: What is special about the metrics, such as classes that were left out.
        reference: What the reference field is that the metrics compare with, in a sentence.
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
    note: str = ""
    reference: str = ""
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
    environment.globals["plus_minus"] = plus_minus
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


def plus_minus(value: float | str | None, std: float | None) -> str:
    """Return "0.0190 ± 0.0002": the standard deviation to one digit (two from 1 to 2), the value to the same place."""
    if isinstance(value, str) or value is None or not math.isfinite(value) or not std:
        return number(value)
    power = math.floor(math.log10(std))
    places = max(0, (1 if std < 1.95 * 10.0**power else 0) - power)
    return f"{value:.{places}f} ± {std:.{places}f}"


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
    """One part of time: its ends, the loss there, and the reference field's."""

    start: float
    end: float
    loss: float | None
    reference: float | None


def time_bars(validation: Validation | None) -> list[TimeBar]:
    """Return the parts of time with their losses."""
    if validation is None:
        return []
    count = len(validation.loss_by_t)
    others = validation.reference.loss_by_t if validation.reference else [None] * count
    pairs = zip(validation.loss_by_t, others, strict=True)
    return [TimeBar(k / count, (k + 1) / count, loss, other) for k, (loss, other) in enumerate(pairs)]


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
