"""`gentool eval`."""

from __future__ import annotations

from pathlib import Path

import click

from gentoolkit.cli.options import json_option, overrides_argument, run_argument, write_result


@click.command("eval")
@run_argument
@overrides_argument
@json_option
def command(run: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Evaluate RUN, a run directory or a single checkpoint, on held-out data.

    Results are only printed; the run's records and report do not change. Without overrides, results equal those of the
    run bit for bit on the same machine with the same versions and number of threads. The last line says
    whether they do.

    \b
    Example:
      gentool eval runs/dit_flow-1 sampler.num_steps=100 evaluate.per_class=64
    """
    from gentoolkit.cli.results import show_evaluation
    from gentoolkit.pipeline import load_model, recorded_evaluation

    evaluation = load_model(run, overrides).evaluate()
    recorded = None if overrides else recorded_evaluation(run)

    def show() -> None:
        show_evaluation(evaluation)
        if recorded and (found := evaluation.differences(recorded)):
            click.echo("differs from the evaluation in metrics.jsonl: " + "; ".join(found))
        elif recorded:
            click.echo("the same as the evaluation in metrics.jsonl, bit for bit")

    write_result(evaluation.content(), as_json, show)
