"""Pictures and the HTML page of a run, made from plain data: arrays, numbers and text."""

from gentoolkit.report.animation import trajectory_gif
from gentoolkit.report.curves import loss_curve
from gentoolkit.report.looks import Look
from gentoolkit.report.page import (
    MAX_PICTURE,
    Picture,
    ReportData,
    note,
    plus_minus,
    remarks,
    report_page,
    split_rows,
)
from gentoolkit.report.pictures import COLUMNS, MAX_CLASSES, sample_grid, sample_sheet, trajectory_paths

__all__ = [
    "COLUMNS",
    "MAX_CLASSES",
    "MAX_PICTURE",
    "Look",
    "Picture",
    "ReportData",
    "loss_curve",
    "note",
    "plus_minus",
    "remarks",
    "report_page",
    "sample_grid",
    "sample_sheet",
    "split_rows",
    "trajectory_gif",
    "trajectory_paths",
]
