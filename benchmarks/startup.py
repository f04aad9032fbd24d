"""How long the commands take to start, each in a fresh process, beside what they can't do without."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.timing import Row, interleaved, ratio

SECTION = "start-up"
RECIPES = Path(__file__).parents[1] / "recipes"
GENTOOL = "from gentoolkit.cli import main; main()"
CLICK = """
import click

@click.group()
def cli():
    "Say hello."

@cli.command()
def hello():
    "Say it."

cli()
"""


def measure(quick: bool) -> list[Row]:
    """Return the times of commands over that of a bare program of click, a first step's over that of torch's import."""
    recipe = str(RECIPES / "dit_flow.yaml")
    with tempfile.TemporaryDirectory() as folder:
        quick_ones = {
            "bare click --help": python(CLICK, "--help"),
            "gentool --help": python(GENTOOL, "--help"),
            "gentool --help, with a plugin that adds a command": python(GENTOOL, "--help", path=install(Path(folder))),
            "gentool plugins": python(GENTOOL, "plugins"),
            "gentool validate": python(GENTOOL, "validate", recipe),
        }
        times = interleaved(quick_ones, 5 if quick else 21)
    bare = times.pop("bare click --help")
    rows = [ratio(SECTION, f"{name} / bare click --help", taken, bare, seconds(taken)) for name, taken in times.items()]
    slow_ones = {"import torch": python("import torch"), "first step": lambda: first_step(recipe)}
    times = interleaved(slow_ones, 3 if quick else 9)
    note = f"{seconds(times['first step'])}; of dit_flow.yaml, its step with one sample"
    name = "gentool run, to its first step / import torch"
    return [*rows, ratio(SECTION, name, times["first step"], times["import torch"], note)]


def python(program: str, *arguments: str, path: str = "") -> Callable[[], object]:
    """Return a call that runs the program in a process of its own, with `path` before the other folders of modules."""
    command = [sys.executable, "-c", program, *arguments]
    modules = os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, **({"PYTHONPATH": modules} if modules else {})}
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


def install(folder: Path) -> str:
    """Install a package in a folder, with a command that nothing may import, and return the folder."""
    (info := folder / "bench_parts-1.0.dist-info").mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gentoolkit.commands.v2]\npolish = bench_parts:polish\n")
    (folder / "bench_parts.py").write_text("raise AssertionError('imported')\n")
    return str(folder)


def first_step(recipe: str) -> None:
    """Start a run of the recipe with one sample a step, wait until its log has the first step, and end it."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = ["train.batch_size=1", "train.checkpoint_every=1"]  # at a checkpoint the log is written at once
        command = [sys.executable, "-c", GENTOOL, "run", recipe, *overrides, "--quiet", "--out", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while not any(log.stat().st_size for log in Path(folder).glob("*/metrics.jsonl")):
                if process.poll() is not None:
                    raise RuntimeError(f"the run ended with exit code {process.returncode} before its first step")
                time.sleep(0.002)
        finally:
            process.kill()
            process.wait()


def seconds(times: list[float]) -> str:
    """Return the median, e.g. "0.18 s"."""
    return f"{statistics.median(times):.2f} s"
