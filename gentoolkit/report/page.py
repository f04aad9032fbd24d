"""The report page of a run: a single HTML file that works offline."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gentoolkit.records import Comparison, Evaluation, MetricResult, ModelLoss
from gentoolkit.safefiles import SafePath

#: Maximum size of a picture in bytes.
MAX_PICTURE = 2**28


@dataclass(frozen=True)
class Picture:
    """A PNG or GIF file to embed in the page, with its heading, text alternative and caption."""

    path: Path
    title: str
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class ReportData:
    """The content of the page. Empty parts are left out.

    Attributes:
        status: "finished", or the step at which the run stopped.
        provenance: Plain data, possibly nested.
        timing: Name of a stage -> seconds.
    """

    name: str
    status: str
    evaluation: Evaluation | None = None
    pictures: Sequence[Picture] = ()
    recipe: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)


def report_page(data: ReportData) -> str:
    """Return the HTML of the page. It contains pictures and styles, uses no scripts, and loads nothing."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "duration": duration, "data_uri": data_uri, "share": share}
    environment.globals |= {"plus_minus": plus_minus, "note": note, "remarks": remarks, "split_rows": split_rows}
    bars = time_bars(data.evaluation.validation) if data.evaluation else []
    template = environment.get_template("template.html")
    return template.render(data=data, provenance=flatten(data.provenance), bars=bars)


def split_rows(metric: MetricResult) -> tuple[dict[str, Comparison], dict[str, Comparison]]:
    """Return a metric's table rows, one per class, and its totals: the mean over classes and the pooled value."""
    if not metric.per_class:
        return {"all": metric.pooled}, {}
    return metric.per_class, ({"mean": metric} if len(metric.per_class) > 1 else {}) | {"pooled": metric.pooled}


def remarks(metric: MetricResult) -> list[str]:
    """Return what a table leaves out: preprocessing, classes without a value, values extrapolated to more samples."""
    lines, pooled, classes = [], metric.pooled, dict[str, list[str]]()
    if (features := metric.features) and features.preprocessing != "none":
        lines.append(f"Preprocessing for the features: {features.preprocessing}.")
    for label, reason in metric.refused.items():
        classes.setdefault(reason, []).append(label)
    lines += [f"Not computed for class {', '.join(labels)}: {reason}." for reason, labels in classes.items()]
    if pooled.value_limit is not None:
        limits = f"{number(pooled.value_limit)}, floor {number(pooled.floor_limit)}"
        lines.append(f"Extrapolated to infinitely many samples: {limits}{' (pooled)' if metric.per_class else ''}.")
    return lines


def note(evaluation: Evaluation) -> str:
    """Return a note on how many samples the metrics used and which classes were left out."""
    per_class, left_out = evaluation.samples_per_class, evaluation.left_out
    cost = f" Each took {evaluation.network_evaluations:g} evaluations of the network."
    if per_class is None:
        return f"{evaluation.samples} generated samples.{cost}"
    text = (
        f"{per_class} generated samples per class. Pooled: {evaluation.samples} samples of all classes, in the "
        f"proportions of the held-out data.{cost}"
    )
    if left_out:
        few = ", ".join(f"class {label} ({count})" for label, count in left_out.items())
        text += f" Classes with fewer than {2 * per_class} held-out samples are only in the pooled value: {few}."
    return text


def number(value: float | None, digits: int = 4) -> str:
    """Format a number with the given significant digits, integers in full; None is "not finite"."""
    if value is None or not math.isfinite(value):
        return "not finite"
    if value == round(value) and abs(value) < 1e15:
        return f"{round(value):,}"
    return f"{value:#.{digits}g}".rstrip(".")


def plus_minus(value: float | None, std: float | None) -> str:
    """Format like "0.0190 ± 0.0002". The standard deviation has one significant digit, or two if the first is 1.

    One that is only rounding is left out.
    """
    if value is None or not math.isfinite(value) or not std or std < 1e-12 * abs(value):
        return number(value)
    power = math.floor(math.log10(std))
    places = max(0, (1 if std < 1.95 * 10.0**power else 0) - power)
    return f"{value:.{places}f} ± {std:.{places}f}"


def duration(seconds: float) -> str:
    """Format seconds as "0.42 s", "42 s", "3 min 5 s" or "2 h 7 min"."""
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def data_uri(path: Path) -> str | None:
    """Return the picture as a data URI, or None if the file is missing or a link."""
    file = SafePath(path.parent) / path.name
    if not file.is_file():
        return None
    return f"data:image/{path.suffix[1:]};base64,{base64.b64encode(file.read(MAX_PICTURE)).decode()}"


def share(value: float | None, largest: float) -> str:
    """Return the value as a percentage of the largest value, for the width of a bar."""
    return f"{100 * value / largest:.2f}%" if value is not None and largest > 0 else "0%"


@dataclass(frozen=True)
class TimeBar:
    """A bin of time with the losses of the model and of the reference field."""

    start: float
    end: float
    loss: float | None
    reference: float | None


def time_bars(validation: ModelLoss) -> list[TimeBar]:
    """Return the bins of time with their losses."""
    count = len(validation.loss_by_t)
    others = validation.reference.loss_by_t if validation.reference else [None] * count
    pairs = zip(validation.loss_by_t, others, strict=True)
    return [TimeBar(k / count, (k + 1) / count, loss, other) for k, (loss, other) in enumerate(pairs)]


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Flatten nested plain data to lines such as ("versions.torch", "2.13.0")."""
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            lines.append((f"{prefix}{key}", " ".join(map(str, value))))
        else:
            lines.append((f"{prefix}{key}", "none" if value is None else str(value)))
    return lines
