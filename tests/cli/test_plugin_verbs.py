"""What plugins from outside can do to the command line: add verbs, and tell the user what to mend."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gentoolkit import plugins, verbs
from gentoolkit.verbs import VERBS

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke.yaml"
POLISH = """
import click

print("imported")

@click.command("polish")
def polish():
    "Make the samples shine."
    click.echo("shining")
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a module as the only plugin of a distribution of that name, or with the given entry points instead."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def make(name, source, group=plugins.GROUP, **points):
        made.append(name)
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{key} = {value}" for key, value in (points or {"main": name}).items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))

    yield make
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def polisher(install):
    install("polisher", POLISH, verbs.GROUP, polish="polisher:polish")


def not_loaded(gentool):
    return [bad["reason"] for bad in json.loads(gentool("plugins", "--json")[1])["quarantined"]]


def test_help_lists_the_commands_of_packages_without_importing_them(gentool, install):
    install("never", "raise AssertionError", verbs.GROUP, polish="never:polish", dust="never:dust [extra]")
    code, out, err = gentool("--help")
    ours, _, added = out.partition("\nCommands of plugins:\n")
    assert (code, err) == (0, "")
    assert all(f"\n  {verb} " in ours for verb in VERBS)
    assert "  dust    From never.\n  polish  From never.\n" in added


def test_help_says_nothing_of_commands_where_there_are_none(monkeypatch, gentool):
    monkeypatch.setattr(verbs, "entry_points", lambda prefix: [])
    assert "Commands of plugins" not in gentool("--help")[1]


@pytest.mark.usefixtures("polisher")
def test_a_command_of_a_package_is_called(gentool):
    assert gentool("polish") == (0, "shining\n", "imported\n")


@pytest.mark.usefixtures("polisher")
def test_its_own_help_is_shown(gentool):
    code, out, _ = gentool("polish", "--help")
    assert code == 0
    assert "Usage: gentool polish" in out
    assert "Make the samples shine." in out


@pytest.mark.usefixtures("polisher")
def test_gentool_plugins_lists_it_without_importing_it(gentool):
    code, out, err = gentool("plugins")
    assert (code, err) == (0, "")
    assert re.search(r"^command +polish +polisher 1\.0$", out, re.MULTILINE)
    assert "polish" not in gentool("plugins", "--kind", "sampler")[1]
    commands = json.loads(gentool("plugins", "--json")[1])["commands"]
    assert {"name": "polish", "distribution": "polisher", "version": "1.0"} in commands


@pytest.mark.usefixtures("polisher")
def test_a_misspelt_command_of_a_package_is_answered_with_it(gentool):
    code, _, err = gentool("polsh")
    assert code == 2
    assert err.endswith("No such command 'polsh'; did you mean 'polish'?\n")


@pytest.mark.parametrize("verb", VERBS)
def test_the_names_of_our_own_verbs_are_taken(gentool, install, verb):
    install("taker", POLISH, verbs.GROUP, **{verb: "taker:polish"})
    assert not_loaded(gentool) == [f"the command {verb!r} already exists in gentoolkit; rename it"]
    assert "shine" not in gentool(verb, "--help")[1]


@pytest.mark.usefixtures("polisher")
def test_the_first_package_by_name_has_a_command_that_two_declare(gentool, install):
    install("a_polisher", POLISH, verbs.GROUP, polish="a_polisher:polish")
    assert not_loaded(gentool) == ["the command 'polish' already exists in a-polisher; rename it"]
    assert "polish  From a-polisher.\n" in gentool("--help")[1]
    assert gentool("polish")[1] == "shining\n"


@pytest.mark.parametrize(
    ("group", "point", "reason"),
    [
        (
            "gentoolkit.commands.v1",
            {"polish": "odd:polish"},
            "it is declared in 'gentoolkit.commands.v1', but this version of gentoolkit supports "
            "'gentoolkit.commands.v2'",
        ),
        (verbs.GROUP, {"--all": "odd:polish"}, "the name of a command must consist of a-z, 0-9, '_' and '-'"),
        (verbs.GROUP, {"polish": "odd"}, "'odd' is not 'module:command'"),
    ],
)
def test_what_can_be_no_command_is_reported_and_left_out(gentool, install, group, point, reason):
    install("odd", POLISH, group, **point)
    assert not_loaded(gentool) == [reason]
    assert "From odd" not in gentool("--help")[1]
    assert gentool("polish")[0] == 2


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("1 / 0", r"can't be imported from 'bad:polish': ZeroDivisionError: division by zero \(.*/bad\.py:1\)"),
        ("raise SystemExit(3)", r"can't be imported from 'bad:polish': SystemExit: 3 \(.*/bad\.py:1\)"),
        ("", "can't be imported from 'bad:polish': AttributeError: module 'bad' has no attribute 'polish'"),
        ("def polish(): pass", "'bad:polish' is a function; expected a click.Command"),
    ],
)
def test_a_command_that_breaks_is_named_with_its_package_and_breaks_nothing_else(gentool, install, source, told):
    install("bad", source, verbs.GROUP, polish="bad:polish")
    code, out, err = gentool("polish")
    assert (code, out) == (1, "")
    assert re.fullmatch(rf"error: the command 'polish' of bad 1\.0(:)? {told}\n", err), err
    assert gentool("--help")[0] == gentool("ls")[0] == 0


def test_help_imports_no_plugin():
    program = (
        "import sys; from gentoolkit.cli import cli; cli.main(['--help'], standalone_mode=False); "
        "heavy = {'gentoolkit.plugins', 'gentoolkit_dit', 'pydantic', 'pluggy', 'importlib.metadata'}; "
        "loaded = heavy & set(sys.modules); "
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


NEEDS_EXTRA = """
from gentoolkit.api import Component, SamplerConfig, UsageError, hookimpl

class Config(SamplerConfig):
    pass

def build(config):
    raise UsageError("scipy is not installed: pip install needy[scipy]")

@hookimpl
def gentoolkit_components():
    yield Component("ode", Config, f"{__name__}:build")
"""


def test_what_a_factory_wants_of_the_user_is_told_without_a_traceback(gentool, install, tmp_path):
    install("needy", NEEDS_EXTRA)
    code, out, err = gentool("run", SMOKE, "sampler={type: needy/ode}", "--out", tmp_path / "runs")
    assert (code, out) == (2, "")
    assert err.endswith("error: scipy is not installed: pip install needy[scipy]\n")
    assert "Traceback" not in err


EXITS = """
from gentoolkit.api import Component, SamplerConfig, hookimpl

class Config(SamplerConfig):
    pass

class Exits:
    def __init__(self, config):
        pass

    def sample(self, field, x0, condition=None, noise=None, on_step=None):
        raise SystemExit(0)

@hookimpl
def gentoolkit_components():
    yield Component("exits", Config, f"{__name__}:Exits")
"""


def test_a_part_that_exits_with_0_is_an_error(gentool, install, tmp_path):
    install("leaver", EXITS)
    code, out, err = gentool("run", SMOKE, "sampler={type: leaver/exits}", "--out", tmp_path / "runs")
    assert (code, out) == (1, "")
    assert re.fullmatch(
        r"error: sampler 'leaver/exits' of leaver 1\.0, trial batch: SystemExit: 0 \(.*/leaver\.py:12\)\n", err
    )


SLEEPER = """
import time
while True:
    try:
        time.sleep(3600)
    except Exception:
        pass
"""
#: Long enough to end a hang only; nothing below waits for so long.
FOREVER = 600


def started(folder, patience, *arguments):
    """Start `gentool` in a process of its own, with another patience and the plugins of a folder."""
    program = (
        # A shell starts what it puts in the background with Ctrl-C ignored, and a child inherits that.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"import sys; from gentoolkit import waiting; waiting.PATIENCE = {patience}; "
        f"sys.argv = ['gentool', *{arguments!r}]; from gentoolkit.cli import main; main()"
    )
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_ctrl_c_skips_a_plugin_whose_import_has_been_announced(install, tmp_path):
    install("a_sleeper", SLEEPER)
    with started(tmp_path, 0.2, "plugins") as process:
        announced = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=FOREVER)
    assert announced == "still importing plugin 'main' of a-sleeper (0 s); press Ctrl-C to skip it\n"
    assert process.returncode == 0, err
    assert "dit" in out
    assert "not loaded: main (a-sleeper 1.0): the import was interrupted after" in out


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_an_early_ctrl_c_names_the_plugin_that_was_being_imported(install, tmp_path):
    install("a_sleeper", "print('asleep', flush=True)" + SLEEPER)
    with started(tmp_path, FOREVER, "plugins") as process:
        assert process.stderr.readline() == "asleep\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=FOREVER)
    assert (process.returncode, out) == (130, "")
    # A signal in the middle of a write may have what was written come twice.
    assert err.splitlines()[-1] == "interrupted while importing plugin 'main' of a-sleeper"


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_ctrl_c_ends_the_import_of_a_command_and_names_it(install, tmp_path):
    install("a_sleeper", SLEEPER, verbs.GROUP, polish="a_sleeper:polish")
    with started(tmp_path, 0.2, "polish") as process:
        announced = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=FOREVER)
    title = "the command 'polish' of a-sleeper 1.0"
    assert announced == f"still importing {title} (0 s); press Ctrl-C to skip it\n"
    assert (process.returncode, out) == (1, "")
    told = err.splitlines()[-1]
    assert told.startswith(
        f"error: {title} can't be imported from 'a_sleeper:polish': the import was interrupted after"
    )
