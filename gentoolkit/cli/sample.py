"""`gentool sample`."""

from __future__ import annotations

from pathlib import Path

import click

from gentoolkit.cli.options import json_option, overrides_argument, run_argument, write_result


@click.command("sample")
@run_argument
@overrides_argument
@click.option("--classes", help="Class labels, e.g. 0,2. Default: all.")
@click.option(
    "--per-class", type=click.IntRange(1, 10**9), help="Samples per class, or in total if the data has no classes."
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the noise.")
@click.option("--out", type=click.Path(path_type=Path), help="Output file. Default: RUN/samples/sample-N.safetensors.")
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
    """Draw samples from RUN, a run directory or a single checkpoint, and save them with a picture.

    FIELD=VALUE overrides settings of the recipe, such as those of the sampler.

    \b
    Example:
      gentool sample runs/dit_flow-1 --classes 0,2 --per-class 4 --seed 7 sampler.num_steps=50
    """
    labels = parse_classes(classes)
    from gentoolkit.pipeline import load_model
    from gentoolkit.pipeline.saving import reserved_file, save_samples

    model = load_model(run, overrides)
    with reserved_file(run, out) as file:
        files = save_samples(model, model.sample(per_class, labels, seed), file)
    result = {name: str(file) for name, file in files.items()}
    write_result(result, as_json, lambda: click.echo("\n".join(result.values())))


def parse_classes(text: str | None) -> list[int] | None:
    """Return the labels in "0,2".

    Raises:
        click.BadParameter: `text` is not a list of integers.
    """
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of labels such as 0,2", param_hint="--classes") from error
