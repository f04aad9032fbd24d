"""The command line: what each verb prints, what bad input gets, and what costs no torch."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors

from gentoolkit.records import Evaluation, MetricsDamaged
from gentoolkit.rundir import RunDir
from gentoolkit.training import list_checkpoints
from gentoolkit.verbs import VERBS

ROOT = Path(__file__).parents[2]
SMOKE = str(ROOT / "recipes" / "smoke.yaml")
#: Seconds after which a process counts as hanging, however busy the machine is.
HANGS = 3600


def fresh(*arguments, **options):
    """Run `gentool` in a process of its own."""
    command = [sys.executable, "-m", "gentoolkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANGS, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    done = fresh("run", SMOKE, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    return out / "smoke-1", json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("verb", [*VERBS])
def test_every_verb_has_help_with_an_example(gentool, verb):
    code, out, _ = gentool(verb, "--help")
    assert code == 0
    assert f"gentool {verb}" in out.split("Example:")[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["validate", SMOKE],
        ["plugins"],
        ["schema"],
        ["ls"],
        ["run", SMOKE, "train.steps=x"],
        ["run", "--help"],
    ],
    ids=lambda arguments: " ".join(arguments[:1]),
)
def test_torch_is_not_imported_by(arguments):
    code = (
        "import sys; from gentoolkit.cli import cli; from gentoolkit.cli.failures import exit_code_of; "
        f"sys.argv = ['gentool', *{arguments!r}]; code = exit_code_of(cli); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == (2 if "train.steps=x" in arguments else 0), done.stderr


def test_run_gives_json_on_stdout_and_progress_on_stderr(finished):
    path, result, progress = finished
    assert result["run"] == str(path)
    assert result["evaluation"]["validation"]["loss"] > 0
    assert "training 12/12" in progress
    assert "\x1b" not in progress  # plain lines where there is no terminal


def test_quiet_says_nothing_on_stderr(gentool, tmp_path):
    code, out, err = gentool("run", SMOKE, "train.steps=3", "--out", tmp_path, "--quiet")
    assert (code, err) == (0, "")
    assert "validation loss" in out
    assert str(tmp_path / "smoke-1" / "report.html") in out


def test_ls_lists_runs(gentool, finished):
    path, result, _ = finished
    code, out, _ = gentool("ls", path.parent, "--json")
    (run,) = json.loads(out)
    assert (code, run["run"], run["state"], run["step"]) == (0, str(path), "finished", 12)
    assert run["validation_loss"] == result["evaluation"]["validation"]["loss"]
    assert "smoke-1  finished    step 12" in gentool("ls", path.parent)[1]


def test_ls_of_nothing_says_how_to_make_a_run(gentool, tmp_path):
    code, out, err = gentool("ls", tmp_path)
    assert (code, out) == (0, "")
    assert "gentool run" in err


def test_sample_writes_where_it_says(gentool, finished):
    path, _, _ = finished
    code, out, _ = gentool(
        "sample", path, "--classes", "0,2", "--per-class", 3, "--seed", 7, "sampler.num_steps=5", "--json"
    )
    files = json.loads(out)
    assert code == 0
    assert Path(files["samples"]).parent == path / "samples"
    assert Path(files["picture"]).exists()
    code, out, _ = gentool("sample", path / "checkpoints" / "step-12", "--per-class", 1, "--json")
    assert code == 0
    assert json.loads(out)["samples"] != files["samples"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "x.png"], "must end in .safetensors"),
        (["--out", "there.safetensors"], "there.png' exists and is not overwritten"),
        (["--classes", "1,1"], "each only once"),
        (["--classes", "1,x"], "not a list of labels"),
        (["--classes", "4"], "no class 4"),
        (["backbone.depth=2"], "cannot be changed after training"),
        (["train.condition_dropout=0"], "cannot be changed after training"),
        (["dataset.num_samples=32"], "cannot be changed after training"),
    ],
)
def test_samples_that_make_no_sense(gentool, finished, tmp_path, monkeypatch, arguments, words):
    path, _, _ = finished
    monkeypatch.chdir(tmp_path)
    Path("there.png").write_text("mine")
    code, out, err = gentool("sample", path, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("there.png", "mine")]


def test_a_checkpoint_outside_a_run_needs_out(gentool, finished, tmp_path):
    path, _, _ = finished
    copy = shutil.copytree(path / "checkpoints" / "step-12", tmp_path / "a" / "b" / "step-12")
    code, _, err = gentool("sample", copy)
    assert code == 2
    assert "use --out" in err
    assert gentool("sample", copy, "--per-class", 1, "--out", tmp_path / "s.safetensors")[0] == 0
    assert (tmp_path / "s.png").exists()


def test_eval_repeats_the_figures_of_the_run(gentool, finished):
    path, result, _ = finished
    code, out, _ = gentool("eval", path, "--json")
    assert code == 0
    figures = json.loads(out)
    # The run had as many threads as the machine, the tests have one: products may round differently.
    assert figures["validation"]["loss"] == pytest.approx(result["evaluation"]["validation"]["loss"], rel=1e-4)
    printed = gentool("eval", path)[1]
    assert re.search(
        r"metric +class +generated +exact field +floor +optimum *\nsliced_wasserstein +0( +\d+\.\d+ ± \d+\.\d+){3} +0",
        printed,
    )
    assert re.search(r"mean( +\d+\.\d+ ± \d+\.\d+){3} +0 *\n +pooled( +\d+\.\d+ ± \d+\.\d+){3} +0", printed)
    assert "validation loss 1.2" in printed
    assert "linear path" in printed
    assert re.search(r"exact field 0\.\d{4} on the same samples", printed)
    guided = gentool("eval", path, "guidance={type: cfg, scale: 2.0}")[1]
    assert re.search(
        r"metric +class +generated +floor +optimum *\nsliced_wasserstein +0( +\d+\.\d+ ± \d+\.\d+){2} +0", guided
    )


def test_report_and_resume_of_a_finished_run(gentool, finished):
    path, _, _ = finished
    assert gentool("report", path)[:2] == (0, f"{path / 'report.html'}\n")
    code, out, _ = gentool("resume", path, "--json", "--quiet")
    assert code == 0
    assert json.loads(out)["run"] == str(path)


def test_a_run_is_extended_refused_and_forced(gentool, finished, tmp_path):
    run = shutil.copytree(finished[0], tmp_path / "smoke-1")
    code, out, err = gentool("resume", run, "train.optimizer.learning_rate=0.01")
    assert (code, out) == (2, "")
    assert "train.optimizer.learning_rate: 0.003 -> 0.01" in err
    assert "--force" in err
    code, _, err = gentool("resume", run, "train.steps=14")
    assert code == 0
    assert "the linear schedule is recomputed for 14 steps, from step 12 on" in err
    assert gentool("resume", run, "train.optimizer.learning_rate=0.01", "--force", "--quiet")[0] == 0
    assert json.loads(gentool("ls", tmp_path, "--json")[1])[0]["step"] == 14


def test_a_run_starts_from_another(gentool, finished, tmp_path):
    arguments = ["run", SMOKE, "train.steps=3", "--init-from", finished[0], "--out", tmp_path / "runs", "--quiet"]
    assert gentool(*arguments)[0] == 0
    code, _, err = gentool(*arguments, "backbone.hidden_size=64")
    assert code == 2
    assert "backbone.patchify.weight: (32, 4) float32 -> (64, 4) float32" in err


def test_validate_says_ok_or_shows_all_defaults(gentool):
    assert gentool("validate", SMOKE)[:2] == (0, f"{SMOKE}: ok\n")
    code, out, _ = gentool("validate", SMOKE, "backbone.depth=3", "--json")
    assert (code, json.loads(out)["backbone"]["depth"]) == (0, 3)


def test_plugins_lists_the_shipped_components(gentool):
    code, out, _ = gentool("plugins", "--json")
    types = {(c["kind"], c["type"]) for plugin in json.loads(out)["plugins"] for c in plugin["components"]}
    assert code == 0
    assert types >= {
        ("backbone", "dit"),
        ("dataset", "patterns"),
        ("metric", "sliced_wasserstein"),
        ("objective", "flow_matching"),
        ("sampler", "euler"),
    }
    assert "euler" in gentool("plugins")[1]


def test_schema_is_json(gentool):
    code, out, _ = gentool("schema")
    assert code == 0
    assert json.loads(out)["properties"].keys() >= {"dataset", "backbone", "train"}


BAD_INPUT = {
    "unknown component": (["backbone.type=dot"], ["backbone.type", "'dot'", "dit"]),
    "unknown field": (["train.optimizer.learning_rat=1e-3"], ["learning_rat", "learning_rate"]),
    "wrong type": (["train.steps=ten"], ["train.steps", "'ten'"]),
    "text for a number": (["train.optimizer.learning_rate='1e-3'"], ["train.optimizer.learning_rate"]),
    "true for a number": (["sampler.num_steps=true"], ["sampler.num_steps"]),
    "wrong range": (["train.ema.decay=1.5"], ["train.ema.decay", "1.5"]),
    "infinity": (["train.optimizer.learning_rate=.inf"], ["train.optimizer.learning_rate"]),
    "patch that does not divide": (["backbone.patch_size=3"], ["patch_size 3 does not divide the 8 x 8 image"]),
    "heads that do not divide": (["backbone.num_heads=5"], ["not divisible by num_heads 5"]),
    "zero steps": (["sampler.num_steps=0"], ["sampler.num_steps", "0"]),
    "class that does not exist": (["sample.classes=[1, 9]"], ["sample.classes", "9"]),
    "package that is not installed": (["sampler={type: gentoolkit-rk/rk4}"], ["pip install gentoolkit-rk"]),
    "both lengths": (["train.epochs=3"], ["exactly one of 'epochs' and 'steps'"]),
    "number of classes": (["dataset.num_classes=5"], ["there are 4 patterns"]),
    "no such path": (["nonsense.a=1"], ["nonsense"]),
    "no value": (["train.steps"], ["train.steps"]),
    "guidance without dropped conditions": (["guidance=cfg", "train.condition_dropout=0.0"], ["guidance cfg needs"]),
}


@pytest.mark.parametrize("case", [*BAD_INPUT])
def test_bad_input_is_told_before_anything_is_made(gentool, tmp_path, case):
    overrides, words = BAD_INPUT[case]
    code, out, err = gentool("run", SMOKE, *overrides, "--out", tmp_path / "runs")
    assert (code, out) == (2, "")
    assert all(word in err for word in words), err
    assert "Traceback" not in err
    assert not (tmp_path / "runs").exists()


def test_bad_input_is_found_without_torch(tmp_path):
    (tmp_path / "file").write_text("")
    cases = [["run", SMOKE, *overrides] for overrides, _ in BAD_INPUT.values()]
    cases.append(["run", SMOKE, "--out", str(tmp_path / "file" / "runs")])
    code = (
        "import sys; from gentoolkit.cli import cli; from gentoolkit.cli.failures import exit_code_of\n"
        f"for case in {cases!r}:\n"
        "    sys.argv = ['gentool', *case]\n"
        "    assert exit_code_of(cli) == 2, case\n"
        "    assert 'torch' not in sys.modules, case"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_fault_in_the_file_has_its_place(gentool, tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(Path(SMOKE).read_text().replace("patch", "pitch").replace("depth: 1", "depth: one"))
    code, _, err = gentool("run", file)
    line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if "depth: one" in text)
    assert code == 2
    assert f"{file}:{line}:{file.read_text().splitlines()[line - 1].index(': one') + 3}: backbone.depth" in err


def test_an_output_folder_that_cannot_be_written(gentool, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = gentool("run", SMOKE, "--out", tmp_path / "file" / "runs")
    assert code == 2
    assert "choose another --out" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "no-such.yaml"],
        ["resume", "no-such-run"],
        ["sample", "no-such-run"],
        ["nonsense"],
        ["run"],
        ["ls", "--bad"],
    ],
)
def test_usage_errors_exit_with_2(gentool, arguments):
    code, _, err = gentool(*arguments)
    assert code == 2
    assert err
    assert "Traceback" not in err


def test_a_loss_that_is_not_finite_exits_with_3(gentool, tmp_path):
    code, _, err = gentool(
        "run", SMOKE, "train.optimizer.learning_rate=1e38", "train.optimizer.weight_decay=1e30", "--out", tmp_path
    )
    assert code == 3
    assert "gradient norm" in err


@pytest.mark.filterwarnings("default")
def test_a_damaged_newest_checkpoint_is_told(gentool, finished, tmp_path):
    run = shutil.copytree(finished[0], tmp_path / "smoke-1")
    (run / "checkpoints" / "step-12" / "weights.safetensors").write_bytes(b"x")
    code, out, err = gentool("eval", run, "--json")
    assert code == 0
    assert json.loads(out)["step"] == 10
    assert re.match(r"warning: step-12 is damaged: .*; using .*step-10 instead\n$", err)


def test_no_valid_checkpoint_exits_with_4(gentool, tmp_path):
    assert gentool("run", SMOKE, "train.steps=3", "--out", tmp_path, "--quiet")[0] == 0
    for manifest in (tmp_path / "smoke-1" / "checkpoints").glob("*/manifest.json"):
        manifest.write_text("{}")
    code, _, err = gentool("resume", tmp_path / "smoke-1")
    assert code == 4
    assert "no valid checkpoint" in err


def test_out_of_memory_exits_with_5(gentool, monkeypatch):
    def fail(root):
        raise MemoryError("no room")

    monkeypatch.setattr("gentoolkit.cli.ls.list_runs", fail)
    code, _, err = gentool("ls")
    assert code == 5
    assert "out of disk or memory" in err


def started(file, *arguments):
    """Start `gentool` in a process of its own, and return it once there is something in the file."""
    command = [sys.executable, "-m", "gentoolkit", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (file.exists() and file.stat().st_size):
        time.sleep(0.01)
    return process


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_ctrl_c_saves_says_how_to_resume_and_the_resumed_run_finishes(tmp_path):
    run = tmp_path / "smoke-1"
    with started(run / "metrics.jsonl", "run", SMOKE, "train.steps=100000", "--out", tmp_path) as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=HANGS)
    assert process.returncode == 130, err
    assert f"gentool resume {run}" in err
    assert "Traceback" not in err
    assert list((run / "checkpoints").iterdir())
    assert out == ""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_run_resumes_to_the_weights_of_an_uninterrupted_one(tmp_path):
    """Killed at whatever moment comes after its first records. Every moment is tried in tests/torture."""
    settings = ["train.checkpoint_every=1", "train.log_every=1", "train.validate_every=null", "--quiet"]
    run, whole = tmp_path / "killed" / "smoke-1", tmp_path / "whole" / "smoke-1"
    with started(run / "metrics.jsonl", "run", SMOKE, *settings, "--out", run.parent) as process:
        process.kill()
        process.communicate(timeout=HANGS)
    assert fresh("run", SMOKE, *settings, "--out", whole.parent).returncode == 0
    resumed = fresh("resume", run, "--quiet")
    if not list_checkpoints(run / "checkpoints"):
        assert resumed.returncode == 4, resumed.stderr
        return
    assert resumed.returncode == 0, resumed.stderr
    for name in ("weights", "ema", "optimizer"):
        files = [folder / "checkpoints" / "step-12" / f"{name}.safetensors" for folder in (run, whole)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_validate_prints_the_problems_of_a_bad_recipe_as_json(gentool):
    code, out, err = gentool("validate", SMOKE, "train.steps=x", "sampler.num_steps=0", "--json")
    assert (code, err) == (2, "")
    problems = json.loads(out)["problems"]
    assert len(problems) == 2
    assert "train.steps" in problems[0]
    code, out, _ = gentool("validate", "no-such.yaml", "--json")
    assert code == 2
    assert "no such file" in json.loads(out)["problems"][0]


@pytest.mark.skipif(os.name != "posix", reason="closed streams as on POSIX")
@pytest.mark.parametrize("stderr", ["closed", "a pipe that nobody reads", "a full pipe", "a full disk"])
def test_a_run_finishes_without_a_stderr(tmp_path, stderr):
    command = [sys.executable, "-m", "gentoolkit", "run", SMOKE, "--out", str(tmp_path), "--json"]
    if stderr == "closed":
        options = {"preexec_fn": lambda: os.close(2)}
    elif stderr == "a full disk":
        options = {"stderr": os.open("/dev/full", os.O_WRONLY)}
    else:
        reader, writer = os.pipe()
        if stderr == "a full pipe":
            os.set_blocking(writer, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writer, b"x")
        else:
            os.close(reader)
        options = {"stderr": writer}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=HANGS, **options)
    assert done.returncode == 0
    assert json.loads(done.stdout)["run"] == str(tmp_path / "smoke-1")
    rows = (tmp_path / "smoke-1" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["event"] for row in rows].count("step") == 12


def test_four_samplings_at_once_leave_four_files(gentool, finished, tmp_path):
    run = shutil.copytree(finished[0], tmp_path / "smoke-1", ignore=shutil.ignore_patterns("sample-*"))
    command = [sys.executable, "-m", "gentoolkit", "sample", str(run), "--per-class", "1", "--json"]
    processes = [subprocess.Popen([*command, "--seed", str(n)], stdout=subprocess.PIPE, text=True) for n in range(4)]
    results = [json.loads(process.communicate(timeout=HANGS)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    names = {Path(result["samples"]).name for result in results}
    assert names == {f"sample-{n}.safetensors" for n in range(1, 5)}
    assert {Path(result["picture"]).name for result in results} == {f"sample-{n}.png" for n in range(1, 5)}
    seeds = []
    for result in results:
        with safetensors.safe_open(result["samples"], "pt") as file:
            seeds.append(file.metadata()["seed"])
    assert seeds == ["0", "1", "2", "3"]


def test_one_out_for_two_samplings_is_taken_once(gentool, finished, tmp_path):
    command = [sys.executable, "-m", "gentoolkit", "sample", str(finished[0]), "--per-class", "1"]
    command += ["--out", str(tmp_path / "s.safetensors")]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=HANGS)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 2]
    assert "s.safetensors' exists and is not overwritten" in "".join(errors)


def test_a_sampling_that_fails_gives_its_name_back(gentool, finished, tmp_path):
    run = shutil.copytree(finished[0], tmp_path / "smoke-1")
    before = sorted(file.name for file in (run / "samples").iterdir())
    assert gentool("sample", run, "--classes", 9)[0] == 2
    assert gentool("sample", run, "--classes", 9, "--out", tmp_path / "s.safetensors")[0] == 2
    assert sorted(file.name for file in (run / "samples").iterdir()) == before
    assert not (tmp_path / "s.safetensors").exists()


@pytest.mark.filterwarnings("default")
def test_lost_records_are_named_and_the_run_goes_on(gentool, finished, tmp_path):
    run = shutil.copytree(finished[0], tmp_path / "smoke-1")
    rows = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    kept = [row for row in rows if json.loads(row).get("step") not in (3, 4, 5)]
    (run / "metrics.jsonl").write_text("".join([*kept[:2], "garbage\n", *kept[2:]]))
    code, _, err = gentool("resume", run, "--quiet")
    words = "at step 12: the records of steps 3 to 5 are missing; unreadable lines: 3"
    assert code == 0
    assert f"warning: metrics.jsonl does not match the checkpoint {words}" in err
    assert words in (run / "log.txt").read_text()
    assert gentool("resume", run, "--quiet")[0] == 0
    records = RunDir(run).records()
    damaged = [record for record in records if isinstance(record, MetricsDamaged)]
    assert damaged == [MetricsDamaged(step=12, missing=[(3, 5)], unreadable=[3])]
    assert sum(isinstance(record, Evaluation) for record in records) == 1
