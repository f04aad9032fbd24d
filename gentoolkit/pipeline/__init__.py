"""Connects all parts: runs recipes, resumes runs, and loads models to sample and evaluate."""

from gentoolkit.pipeline.model import Model
from gentoolkit.pipeline.runs import Run, load_model, open_run, recorded_evaluation, resume, run

__all__ = ["Model", "Run", "load_model", "open_run", "recorded_evaluation", "resume", "run"]
