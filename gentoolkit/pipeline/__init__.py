"""All wiring: from a recipe to a finished run, and from a run to samples and figures."""

from gentoolkit.pipeline.model import Model
from gentoolkit.pipeline.runs import Run, load_model, open_run, resume, run

__all__ = ["Model", "Run", "load_model", "open_run", "resume", "run"]
