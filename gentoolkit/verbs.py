"""The verbs of `gentool`. They are listed here, below every other layer, so that plugins cannot reuse their names."""

from __future__ import annotations

#: Verb -> its one-line help, in the order of typical use.
VERBS = {
    "run": "Train, sample, evaluate and report what a recipe describes.",
    "resume": "Continue a run from its newest valid checkpoint.",
    "sample": "Draw samples from a run or a checkpoint.",
    "eval": "Evaluate a run or a checkpoint on held-out data.",
    "report": "Redraw a run's pictures and rebuild its report page.",
    "validate": "Check a recipe without training.",
    "plugins": "List the installed plugins and their components.",
    "describe": "Print the fields of a component and what they mean.",
    "check": "Test a package's components against their contracts.",
    "schema": "Print the JSON schema of recipes, for editor completion.",
    "ls": "List runs.",
}
