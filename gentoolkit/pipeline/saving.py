"""Files with samples, in a run or elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import safetensors.torch

from gentoolkit.configs import to_data
from gentoolkit.errors import UsageError, listing, writing_failed
from gentoolkit.pipeline.blame import blame
from gentoolkit.pipeline.parts import Parts
from gentoolkit.pipeline.pictures import draw_samples
from gentoolkit.rundir import RunDir
from gentoolkit.safefiles import SafePath
from gentoolkit.sampling import Samples
from gentoolkit.training import is_checkpoint


@contextmanager
def reserved_file(source: Path, out: Path | None) -> Iterator[SafePath]:
    """Reserve the output file for samples: `out`, or the first free `samples/sample-N` of the run.

    The file is created immediately, so that concurrent commands get different files. It is deleted if the block raises
    an exception.

    Raises:
        UsageError: `out` is not a `.safetensors` file, it or its picture exists, or `source` is not inside a run.
    """
    file = _reserve(out) if out is not None else _reserve_in_run(source)
    try:
        yield file
    except BaseException:
        with suppress(OSError):
            file.remove()
        raise


def _reserve(out: Path) -> SafePath:
    if out.suffix != ".safetensors":
        raise UsageError(f"--out must end in .safetensors; got {str(out)!r}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        file = SafePath(out.parent) / out.name
        if taken := [str(found) for found in (file, _picture_of(file)) if found.exists()]:
            raise UsageError(f"{listing(taken)} exists and is not overwritten; choose another --out")
        file.create()
    except FileExistsError:
        raise UsageError(f"{str(out)!r} exists and is not overwritten; choose another --out") from None
    except OSError as error:
        raise writing_failed(error, f"cannot write {str(out)!r}", "choose another --out") from error
    return file


def _reserve_in_run(source: Path) -> SafePath:
    run = RunDir(source.absolute().parent.parent if is_checkpoint(source) else source)
    if not run.inside(run.resolved).is_file():
        raise UsageError(f"{str(source)!r} is not inside a run; use --out to choose an output file")
    samples = run.inside(run.samples)
    try:
        with suppress(FileExistsError):
            samples.make_folder()
        for number in count(1):
            file = samples / f"sample-{number}.safetensors"
            if not _picture_of(file).exists():
                with suppress(FileExistsError):
                    file.create()
                    return file
    except OSError as error:
        raise writing_failed(error, f"cannot write to {samples}", "use --out to choose another file") from error
    raise AssertionError("the numbers never end")


def _picture_of(file: SafePath) -> SafePath:
    return file.sibling(f"{file.name.removesuffix('.safetensors')}.png")


def save_samples(parts: Parts, samples: Samples, file: SafePath, *, picture: bool = True) -> dict[str, Path]:
    """Write a model's samples and their origin (as metadata) to `file`, and a picture next to it.

    Returns:
        The files: "samples", and "picture" if one is wanted and samples of that shape can be drawn.

    Raises:
        UsageError: `file` cannot be written.
        OutOfSpaceError: The disk is full.
    """
    tensors = {"x1": samples.x1.contiguous()}
    if samples.condition is not None:
        tensors["condition"] = samples.condition.contiguous()
    recipe = parts.recipe
    origin = {
        "recipe": recipe.name,
        "step": str(parts.step),
        "seed": str(samples.seed),
        "sampler": json.dumps(to_data(recipe.sampler)),
        "guidance": json.dumps([to_data(guidance) for guidance in recipe.guidance]),
    }
    try:
        file.write(safetensors.torch.save(tensors, origin))
        beside = _picture_of(file)
        with blame(recipe, "drawing"):
            drawn = picture and draw_samples(parts, samples, beside)
    except OSError as error:
        raise writing_failed(error, f"cannot write {str(file)!r}", "choose another --out") from error
    return {"samples": file.path} | ({"picture": beside.path} if drawn else {})
