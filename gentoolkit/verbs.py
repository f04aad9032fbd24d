"""The verbs of `gentool`: on the ground floor, since no plugin may take the name of one."""

from __future__ import annotations

#: Verb -> what it does, in the order of use.
VERBS = {
    "run": "Train, sample, measure and report what a recipe says.",
    "resume": "Continue a run from its newest valid checkpoint.",
    "sample": "Draw samples from a run or a checkpoint.",
    "eval": "Measure a run or a checkpoint against held-out data.",
    "report": "Draw a run's pictures and page again.",
    "validate": "Check a recipe without training anything.",
    "plugins": "List the installed plugins and their components.",
    "check": "Run the contracts on a distribution's components.",
    "schema": "Write the JSON schema of a recipe, for an editor.",
    "ls": "List runs.",
}
