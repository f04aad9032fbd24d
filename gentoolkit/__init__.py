"""gentoolkit: change one part of a generative model, keep the rest honest.

From a notebook::

    import gentoolkit as gt

    recipe = gt.load_recipe("recipes/smoke.yaml", ["train.steps=20"])
    run = gt.run(recipe)
    run.sample(per_class=4, seed=7)
    run.show()

Names are imported on first use, so `import gentoolkit` does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gentoolkit.errors import GentoolError as GentoolError
    from gentoolkit.pipeline import Model as Model
    from gentoolkit.pipeline import Run as Run
    from gentoolkit.pipeline import load_model as load_model
    from gentoolkit.pipeline import open_run as open_run
    from gentoolkit.pipeline import resume as resume
    from gentoolkit.pipeline import run as run
    from gentoolkit.pipeline.inspection import inspect_data as inspect_data
    from gentoolkit.plugins import load_plugins as load_plugins
    from gentoolkit.recipe import Recipe as Recipe
    from gentoolkit.recipe import load_recipe as load_recipe
    from gentoolkit.recipe import parse_recipe as parse_recipe
    from gentoolkit.recipe import recipe_schema as recipe_schema
    from gentoolkit.rundir import list_runs as list_runs
    from gentoolkit.testing import check as check

#: Public name -> the module that defines it.
_HOMES = {
    "GentoolError": "gentoolkit.errors",
    "Model": "gentoolkit.pipeline",
    "Recipe": "gentoolkit.recipe",
    "Run": "gentoolkit.pipeline",
    "check": "gentoolkit.testing",
    "inspect_data": "gentoolkit.pipeline.inspection",
    "list_runs": "gentoolkit.rundir",
    "load_model": "gentoolkit.pipeline",
    "load_plugins": "gentoolkit.plugins",
    "load_recipe": "gentoolkit.recipe",
    "open_run": "gentoolkit.pipeline",
    "parse_recipe": "gentoolkit.recipe",
    "recipe_schema": "gentoolkit.recipe",
    "resume": "gentoolkit.pipeline",
    "run": "gentoolkit.pipeline",
}

__all__ = [*_HOMES]  # noqa: PLE0604 - the names are those of the table


def __getattr__(name: str) -> Any:
    """Import a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gentoolkit' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, for tab completion."""
    return sorted(_HOMES)
