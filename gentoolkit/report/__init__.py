"""Pictures and the HTML page of a run. It takes plain data (arrays, numbers, text) and knows nothing of the rest."""

from gentoolkit.report.animation import trajectory_gif
from gentoolkit.report.page import (
    Figure,
    MetricTable,
    Picture,
    ReferenceLoss,
    ReportData,
    Validation,
    plus_minus,
    write_report,
)
from gentoolkit.report.pictures import loss_curve, sample_grid

__all__ = [
    "Figure",
    "MetricTable",
    "Picture",
    "ReferenceLoss",
    "ReportData",
    "Validation",
    "loss_curve",
    "plus_minus",
    "sample_grid",
    "trajectory_gif",
    "write_report",
]
