"""Pictures and the HTML page of a run, made from plain data: arrays, numbers and text."""

from gentoolkit.report.animation import trajectory_gif
from gentoolkit.report.looks import Look
from gentoolkit.report.page import (
    MAX_PICTURE,
    Figure,
    MetricTable,
    Picture,
    ReferenceLoss,
    ReportData,
    Validation,
    plus_minus,
    report_page,
)
from gentoolkit.report.pictures import loss_curve, sample_grid, trajectory_paths

__all__ = [
    "MAX_PICTURE",
    "Figure",
    "Look",
    "MetricTable",
    "Picture",
    "ReferenceLoss",
    "ReportData",
    "Validation",
    "loss_curve",
    "plus_minus",
    "report_page",
    "sample_grid",
    "trajectory_gif",
    "trajectory_paths",
]
