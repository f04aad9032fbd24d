"""What is timed is what is named."""

import pytest

from benchmarks import startup


def test_a_program_runs_in_a_process_of_its_own(tmp_path):
    file = tmp_path / "written"
    startup.python("import pathlib, sys; pathlib.Path(sys.argv[1]).touch()", str(file))()
    assert file.exists()


def test_both_commands_show_their_help(capfd):
    for program in (startup.CLICK, startup.GENTOOL):
        done = startup.subprocess.run(
            [startup.sys.executable, "-c", program, "--help"], check=True, capture_output=True, text=True
        )
        assert done.stdout.startswith("Usage:")


def test_the_plugin_of_the_benchmark_is_listed_by_help(tmp_path, capfd):
    startup.python(
        "import subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2)",
        startup.sys.executable,
        "-c",
        startup.GENTOOL,
        "--help",
        path=startup.install(tmp_path),
    )()
    assert "polish  From bench-parts." in capfd.readouterr().err


def test_a_run_is_followed_to_its_first_step_and_no_further():
    """The smoke recipe would take its twelve steps, sample, measure and draw; no process is left to do so."""
    startup.first_step(str(startup.RECIPES / "smoke.yaml"))


def test_a_run_that_fails_ends_the_wait(tmp_path):
    with pytest.raises(RuntimeError, match="exit code 2 before its first step"):
        startup.first_step(str(tmp_path / "missing.yaml"))
