"""What plugins from outside can do to the command line: add verbs, and tell the user what to mend."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gentoolkit.distributions import has_foreign_plugins
from gentoolkit.plugins import GROUP, load_plugins
from gentoolkit.verbs import VERBS

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke.yaml"
POLISH = """
import click
from gentoolkit.api import hookimpl

@click.command("polish")
def polish():
    "Make the samples shine. At length."
    click.echo("shining")

@hookimpl
def gentoolkit_commands():
    return [polish, click.Command("secret", hidden=True)]
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a module as the only plugin of a distribution of that name."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def make(name, source):
        made.append(name)
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\nmain = {name}\n")

    yield make
    for name in made:
        sys.modules.pop(name, None)


def test_help_lists_the_verbs_of_plugins_in_their_own_section(gentool, install):
    assert "Commands of plugins" not in gentool("--help")[1] or has_foreign_plugins()
    install("polisher", POLISH)
    code, out, _ = gentool("--help")
    ours, _, added = out.partition("\nCommands of plugins:\n")
    assert code == 0
    assert all(f"\n  {verb} " in ours for verb in VERBS)
    assert "  polish  Make the samples shine.\n" in added
    assert "secret" not in out


def test_a_verb_of_a_plugin_is_called(gentool, install):
    install("polisher", POLISH)
    assert gentool("polish")[:2] == (0, "shining\n")


def test_a_plugin_that_breaks_does_not_break_help(gentool, install):
    install("breaker", "raise SystemExit(3)")
    code, out, _ = gentool("--help")
    assert code == 0
    assert "breaker" not in out


@pytest.mark.parametrize("verb", ["run", "ls"])
def test_a_plugin_that_takes_the_name_of_our_verb_is_listed_as_not_loaded(gentool, install, verb):
    install("taker", POLISH.replace('"polish"', repr(verb)))
    code, out, _ = gentool("plugins")
    assert code == 0
    assert f"not loaded: main (taker 1.0): the command '{verb}' already exists in gentoolkit; rename it\n" in out
    assert "shine" not in gentool(verb, "--help")[1]


@pytest.mark.skipif(has_foreign_plugins(), reason="plugins from outside are installed here, so help must load them")
def test_help_loads_no_plugin_where_there_are_only_ours():
    program = (
        "import sys; from gentoolkit.cli import cli; cli.main(['--help'], standalone_mode=False); "
        "loaded = {'gentoolkit.plugins', 'gentoolkit_dit', 'pydantic', 'pluggy'} & set(sys.modules); "
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_our_own_plugins_add_no_verbs():
    """`added_verbs` relies on it: it loads no plugins where there are only ours."""
    ours = [plugin for plugin in load_plugins().loaded if plugin.distribution == "gentoolkit"]
    assert ours
    assert not [plugin.name for plugin in ours if plugin.commands]


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


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers as on POSIX")
def test_help_leaves_a_plugin_out_that_never_ends_to_import(install, tmp_path):
    install("a_sleeper", SLEEPER)
    install("b_polisher", POLISH)
    with started(tmp_path, 0.5, "--help") as process:
        out, err = process.communicate(timeout=FOREVER)
    assert process.returncode == 0, err
    assert "  polish  Make the samples shine.\n" in out
    assert err == "skipping plugin 'main' of a-sleeper: the import took more than 0.5 s\n"


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_ctrl_c_skips_a_plugin_whose_import_has_been_announced(install, tmp_path):
    install("a_sleeper", SLEEPER)
    install("b_polisher", POLISH)
    with started(tmp_path, 0.2, "plugins") as process:
        announced = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=FOREVER)
    assert announced == "still importing plugin 'main' of a-sleeper (0 s); press Ctrl-C to skip it\n"
    assert process.returncode == 0, err
    assert "polish" in out
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
