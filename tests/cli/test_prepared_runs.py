"""Run directories that somebody prepared, damaged or protected: nothing outside is touched, no verb has a traceback."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

import gentoolkit as gt

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke.yaml"
VERBS = {
    "ls": lambda run, out: ["ls", run.parent],
    "report": lambda run, out: ["report", run],
    "resume": lambda run, out: ["resume", run, "--quiet"],
    "sample": lambda run, out: ["sample", run, "--per-class", 1],
    "sample elsewhere": lambda run, out: ["sample", run, "--per-class", 1, "--out", out / "drawn.safetensors"],
    "eval": lambda run, out: ["eval", run],
}
every_verb = pytest.mark.parametrize("verb", [*VERBS])
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    few = ["train.steps=4", "train.checkpoint_every=2", "train.validate_every=2", "train.schedule.warmup_steps=0"]
    return gt.run(gt.load_recipe(SMOKE, few), tmp_path_factory.mktemp("runs")).path


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "runs" / "smoke-1")


@pytest.fixture
def call(gentool, run, tmp_path):
    """Run a verb on the run, and return exit code and stderr; whatever happens, there is no traceback."""

    def call(verb, *more):
        code, _, err = gentool(*VERBS[verb](run, tmp_path), *more)
        assert "Traceback" not in err, err
        assert code in (0, 1, 2, 4), err
        assert err or code == 0
        return code, err

    return call


def change_json(file, **changes):
    value = json.loads(file.read_text())
    file.write_text(json.dumps({**value, **changes}))


# -- Links, pipes and devices ------------------------------------------------------------------------------------------

PLACES = ["metrics.jsonl", "log.txt", "report.html", ".lock", "provenance.json", "samples", "checkpoints", "images"]
INNER = [
    "samples/samples.safetensors",
    "images/samples.png",
    "images/loss.png",
    "checkpoints/step-4",
    "checkpoints/step-4/manifest.json",
    "checkpoints/step-4/state.json",
    "checkpoints/step-4/weights.safetensors",
]


def contents(folder):
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("place", [*PLACES, *INNER])
def test_nothing_is_written_through_a_link(call, run, tmp_path, place):
    """What the links point to is a copy of what was there, so that nothing but the link itself can be the obstacle."""
    outside = tmp_path / "outside"
    (run / place).rename(outside)
    folder = outside.is_dir()
    (run / place).symlink_to(outside, target_is_directory=folder)
    before = contents(outside) if folder else outside.read_bytes()
    for verb in VERBS:
        call(verb)
    assert (contents(outside) if folder else outside.read_bytes()) == before


@pytest.mark.parametrize("place", ["metrics.jsonl", "log.txt", "provenance.json", "images/loss.png", ".lock"])
def test_nothing_is_read_through_a_link(call, run, tmp_path, place):
    secret = tmp_path / "secret"
    secret.write_text('{"event": "step", "step": 3, "loss": 0.1, "precision": "fp32", "word": "hush-hush"}\n')
    (run / place).unlink(missing_ok=True)
    (run / place).symlink_to(secret)
    call("ls")
    call("report")
    page = (run / "report.html").read_text()
    assert "hush-hush" not in page
    assert "aHVzaC" not in page  # the same in base64


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("special", ["pipe", "device", "folder"])
@pytest.mark.parametrize("place", [place for place in [*PLACES, *INNER] if "." in place])
def test_only_regular_files_are_opened(call, run, place, special):
    if (run / place).exists():
        (run / place).unlink()
    if special == "pipe":
        os.mkfifo(run / place)
    elif special == "device":
        (run / place).symlink_to("/dev/zero")
    else:
        (run / place).mkdir()
    for verb in VERBS:
        call(verb)


@every_verb
def test_a_link_to_the_run_itself_is_the_users_choice(gentool, run, tmp_path, verb):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "smoke-1").symlink_to(run, target_is_directory=True)
    code, _, err = gentool(*VERBS[verb](tmp_path / "linked" / "smoke-1", tmp_path))
    assert code == 0, err


def test_a_manifest_cannot_name_files_elsewhere(call, run):
    folder = run / "checkpoints" / "step-4"
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in ("../../../secret.safetensors", "/etc/passwd", "..", "", "a\0.safetensors"):
        files = {**manifest["files"], name: manifest["files"]["state.json"]}
        change_json(folder / "manifest.json", files=files)
        code, err = call("sample")
        assert code == 0
        assert "step-4 is damaged" in err
        assert "using" in err


# -- Damaged files -----------------------------------------------------------------------------------------------------

PROVENANCES = {"missing": None, "empty": "", "a list": "[]", "a number": "3", "deep": "[" * 100_000, "binary": "\udcff"}


@pytest.mark.parametrize("case", [*PROVENANCES])
def test_damaged_provenance(call, run, case):
    file = run / "provenance.json"
    file.unlink()
    if PROVENANCES[case] is not None:
        file.write_text(PROVENANCES[case], errors="surrogateescape")
    for verb in ("ls", "report", "sample", "eval"):
        assert call(verb)[0] == 0
    code, err = call("resume")
    assert code == 1
    assert "provenance.json" in err


@pytest.mark.parametrize("value", [None, 3, [], "fp8"])
def test_a_precision_that_cannot_be(call, run, value):
    change_json(run / "provenance.json", precision=value)
    code, err = call("resume")
    assert code == 1
    assert "precision" in err


ROWS = [
    '{"event": "step"}',
    '{"event": "step", "step": "4", "loss": 1}',
    '{"event": "step", "step": null, "loss": 1}',
    '{"event": "step", "step": -1, "loss": 1}',
    '{"event": "step", "step": 1e3, "loss": 1}',
    '{"event": "step", "step": ' + "1" * 400 + ', "loss": 1}',
    '{"event": "step", "step": 4, "loss": "small"}',
    '{"event": "step", "step": 4, "loss": [1]}',
    '{"event": "step", "step": 4, "loss": ' + "1" * 400 + "}",
    '{"event": ["step"]}',
    '{"event": {}}',
    '{"event": null}',
    "{}",
    "[]",
    "3",
    "null",
    "[" * 100_000,
    '{"event": "evaluation"}',
    '{"event": "evaluation", "step": 4, "validation": null, "metrics": [], "samples_per_class": 4}',
    '{"event": "evaluation", "step": 4, "validation": {"loss": "x"}, "metrics": [], "samples_per_class": 4}',
    '{"event": "evaluation", "step": 4, "validation": {"loss": 1}, "metrics": [{}], "samples_per_class": 4}',
    '{"event": "evaluation", "step": 4, "validation": {"loss": 1}, "metrics": {}, "samples_per_class": 4}',
    '{"event": "finished"}',
    '{"event": "finished", "seconds": null}',
    '{"event": "finished", "seconds": {"train": "long"}}',
    '{"event": "finished", "seconds": {"train": 1e999}}',
    '{"event": "finished", "seconds": {"train": -1}}',
    '{"event": "validation", "step": 2, "loss": {}}',
    '{"event": "resumed", "step": "x"}',
    "\0\0\0",
    "\udcff\udcfe",
]


@pytest.mark.parametrize("verb", ["ls", "report"])
def test_rows_of_the_wrong_type_are_left_out_and_counted(call, run, verb):
    with (run / "metrics.jsonl").open("a", errors="surrogateescape") as file:
        file.write("\n".join(ROWS) + "\n")
    code, err = call(verb)
    assert code == 0
    assert f"skipped {len(ROWS)} unreadable lines in" in err
    assert call("resume")[0] == 0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[:70])
def test_a_row_of_the_wrong_type_alone(call, run, row):
    (run / "metrics.jsonl").write_text(row + "\n", errors="surrogateescape")
    for verb in ("ls", "report"):
        assert call(verb)[0] == 0
    code, err = call("resume")
    assert code == 0
    assert "the records of steps 1 to 4 are missing; unreadable lines: 1" in err


def test_a_folder_with_a_superscript_number_is_no_checkpoint(call, run):
    (run / "checkpoints" / "step-²").mkdir()
    (run / "checkpoints" / "step-007").mkdir()
    for verb in VERBS:
        assert call(verb)[0] == 0


def test_a_copy_under_another_number_is_not_newer(call, run):
    shutil.copytree(run / "checkpoints" / "step-2", run / "checkpoints" / "step-999")
    code, err = call("sample", "--json")
    assert code == 0
    assert "step-999 is damaged: its manifest belongs to step 2" in err
    assert "using" in err
    assert "step-4" in err


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_whatever_has_the_name_of_an_unfinished_checkpoint_is_removed(run, tmp_path, gentool, kind):
    shutil.rmtree(run / "checkpoints" / "step-4")  # so that it is written again
    leftover, outside = run / "checkpoints" / ".partial-step-4", tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    if kind == "file":
        leftover.write_text("")
    elif kind == "link":
        leftover.symlink_to(outside, target_is_directory=True)
    else:
        shutil.copytree(outside, leftover)
    code, _, err = gentool("resume", run, "--quiet")
    assert code == 0, err
    assert sorted(file.name for file in (run / "checkpoints").iterdir()) == ["step-2", "step-4"]
    assert (outside / "mine").read_text() == "mine"


def change_state(folder, text):
    """Put another text in state.json, with its right size and checksum in the manifest."""
    data = text.encode()
    (folder / "state.json").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["state.json"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["metrics_size", "metrics_sha256", "train_seconds", "optimizer", "totals", "recipe"])
@pytest.mark.parametrize("value", ["[]", "-1", "1" + "0" * 30, "1e999", "NaN", "null", "absent"])
def test_numbers_of_a_checkpoint_that_cannot_be_right(call, run, name, value):
    for folder in (run / "checkpoints").iterdir():
        numbers = json.loads((folder / "state.json").read_text())
        del numbers[name]
        text = json.dumps(numbers)
        change_state(folder, text if value == "absent" else f'{text[:-1]}, "{name}": {value}}}')
    before = contents(run)
    if name != "recipe":
        code, err = call("resume")
        if (name, value) != ("train_seconds", "1" + "0" * 30):  # a long time, but a time
            assert code == 4
            assert f"{name!r}" in err
            assert {**contents(run), Path(".lock"): b""} == {**before, Path(".lock"): b""}
    else:
        code, err = call("sample")
        assert code == 4
        assert "'recipe'" in err


# -- Protected, and too long -------------------------------------------------------------------------------------------


@pytest.fixture
def read_only(monkeypatch, run):
    """The run lies on a file system that can't be written (root, as which tests may run, may write everywhere else)."""
    real = {name: getattr(os, name) for name in ("open", "mkdir", "replace", "unlink", "rename")}

    def inside(path, descriptor):
        folder = "" if descriptor is None else Path(f"/proc/self/fd/{descriptor}").readlink()
        return Path(folder, path).absolute().is_relative_to(run)

    def guarded(name):
        def function(path, *arguments, **options):
            writes = name != "open" or arguments[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and inside(path, options.get("dir_fd", options.get("src_dir_fd"))):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
            return real[name](path, *arguments, **options)

        return function

    for name in real:
        monkeypatch.setattr(os, name, guarded(name))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
@pytest.mark.parametrize(
    ("verb", "expected"), [("ls", 0), ("sample elsewhere", 0), ("eval", 0), ("resume", 2), ("report", 1), ("sample", 2)]
)
def test_a_run_that_cannot_be_written(read_only, call, run, verb, expected):
    before = contents(run)
    code, err = call(verb)
    assert code == expected
    assert ("Read-only file system" in err) == (expected != 0)
    assert contents(run) == before


LONG = "x" * 5000


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls", LONG],
        ["report", LONG],
        ["resume", LONG],
        ["sample", LONG],
        ["eval", LONG],
        ["run", LONG],
        ["run", SMOKE, "--out", LONG],
        ["run", SMOKE, "--out", f"a/{'y' * 300}"],
        ["run", SMOKE, f"name={'y' * 300}", "train.steps=1"],
        ["validate", LONG],
        ["sample", "RUN", "--out", f"{LONG}.safetensors"],
        ["sample", "RUN", "--out", f"{'y' * 300}.safetensors"],
        ["sample", "RUN", "--per-class", 10**18],
        ["sample", "RUN", "--per-class", 10**30],
    ],
    ids=lambda arguments: " ".join(map(str, arguments))[:60],
)
def test_what_is_too_long_or_too_many(gentool, run, monkeypatch, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    code, out, err = gentool(*[run if argument == "RUN" else argument for argument in arguments])
    assert (code, out) == (2, "")
    assert err
    assert "Traceback" not in err
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and run not in file.parents]
