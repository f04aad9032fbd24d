"""Pictures and the HTML page of a run. It takes plain data (arrays, numbers, text) and knows nothing of the rest."""

from gentoolkit.report.animation import trajectory_gif
from gentoolkit.report.page import (
    MAX_PICTURE,
    Figure,
    MetricTable,
    Picture,
    ReportData,
    Validation,
    report_page,
)
from gentoolkit.report.pictures import loss_curve, sample_grid

__all__ = [
    "MAX_PICTURE",
    "Figure",
    "MetricTable",
    "Picture",
    "ReportData",
    "Validation",
    "loss_curve",
    "report_page",
    "sample_grid",
    "trajectory_gif",
]
