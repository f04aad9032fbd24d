"""`gentool sample`."""

from __future__ import annotations

from pathlib import Path

import click

from gentoolkit.cli.options import json_option, overrides_argument, run_argument, write_result


@click.command("sample")
@run_argument
@overrides_argument
@click.option("--classes", help="Labels, e.g. 0,2; all by default.")
@click.option("--per-class", type=click.IntRange(1, 10**9), help="Samples of each class (in total, without classes).")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the noise.")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write; RUN/samples/sample-N.safetensors.")
@json_option
def command(
    run: Path,
    overrides: tuple[str, ...],
    classes: str | None,
    per_class: int | None,
    seed: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Draw samples from RUN, a run's directory or one of its checkpoints, and a picture of them.

    The settings of the sampler are overridden like those of a recipe.

    \b
    Example:
      gentool sample runs/dit_flow-1 --classes 0,2 --per-class 4 --seed 7 sampler.num_steps=50
    """
    labels = parse_classes(classes)
    from gentoolkit.pipeline import load_model
    from gentoolkit.pipeline.outputs import reserved_file, save_samples

    model = load_model(run, overrides)
    with reserved_file(run, out) as file:
        files = save_samples(model, model.sample(per_class, labels, seed), file)
    result = {name: str(file) for name, file in files.items()}
    write_result(result, as_json, lambda: click.echo("\n".join(result.values())))


def parse_classes(text: str | None) -> list[int] | None:
    """Return the labels in "0,2".

    Raises:
        click.BadParameter: It is no list of whole numbers.
    """
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no list of labels such as 0,2", param_hint="--classes") from error
