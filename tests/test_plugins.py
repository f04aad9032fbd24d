import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint, PathDistribution

import pytest

from gentoolkit.plugins import GROUP, load_plugins

GOOD = """
from gentoolkit.api import Component, DataSpec, DatasetConfig, SamplerConfig, hookimpl

class HeunConfig(SamplerConfig):
    num_steps: int = 2

def heun(name="heun"):
    return Component(name, HeunConfig, "nowhere:Heun")
"""
COMPONENTS = "\n@hookimpl\ndef gentoolkit_components():\n"


class Environment:
    """Distributions with plugin modules, in a folder that is on sys.path."""

    def __init__(self, folder):
        self.folder = folder
        self.modules = []

    def module(self, name, source, good=GOOD):
        (self.folder / f"{name}.py").write_text(good + textwrap.dedent(source))
        self.modules.append(name)

    def distribution(self, name, entry_points, version="1.5", group=GROUP):
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"{key} = {value}" for key, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
        return info

    def plugin(self, name, source, good=GOOD):
        """Install one module as the only plugin of one distribution, and return its entry points."""
        self.module(name, source, good)
        return list(PathDistribution(self.distribution(name.replace("_", "-"), {"main": name})).entry_points)

    def points(self):
        """Return all entry points here, read anew."""
        return [p for info in self.folder.glob("*.dist-info") for p in PathDistribution(info).entry_points]

    def load(self):
        """Load what is installed here, without the plugins of the environment that runs the tests."""
        return load_plugins(self.points())


@pytest.fixture
def environment(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    made = Environment(tmp_path)
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)


def test_a_plugin_is_found_through_its_entry_point(environment):
    environment.module("good_plugin", COMPONENTS + "    yield heun()\n")
    environment.distribution("My_Dist", {"main": "good_plugin"})
    plugins = load_plugins()
    (plugin,) = [plugin for plugin in plugins.loaded if plugin.distribution == "my-dist"]
    (entry,) = plugin.entries
    assert (plugin.name, plugin.version) == ("main", "1.5")
    assert (entry.name, entry.kind, entry.distribution, entry.version) == ("my-dist/heun", "sampler", "my-dist", "1.5")
    assert plugins.registry.get("sampler", "my-dist/heun") is entry


FAULTS = {
    "raises_at_import": ("1 / 0", "ZeroDivisionError: division by zero"),
    "exits_at_import": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "syntax": ("def", "SyntaxError: invalid syntax"),
    "misses_a_module": ("import no_such_module_here", "ModuleNotFoundError: No module named 'no_such_module_here'"),
    "no_hooks": ("", "no function is marked with @hookimpl; expected gentoolkit_components"),
    "unmarked": (
        "def gentoolkit_components(): return [heun()]",
        "gentoolkit_components is not marked with @hookimpl",
    ),
    "misspelt": (
        "@hookimpl\ndef gentoolkit_component(): return [heun()]",
        "unknown hook 'gentoolkit_component'; expected 'gentoolkit_components'; did you mean 'gentoolkit_components'?",
    ),
    "one_too_many": (
        COMPONENTS + "    return [heun()]\n@hookimpl\ndef gentoolkit_commands(): return []",
        "unknown hook 'gentoolkit_commands'; expected 'gentoolkit_components'",
    ),
    "wrong_argument": ("@hookimpl\ndef gentoolkit_components(step): pass", "PluginValidationError: .*'step'"),
    "raises_when_listed": (COMPONENTS + "    yield heun()\n    1 / 0", "ZeroDivisionError: division by zero"),
    "exits_when_listed": (COMPONENTS + "    raise SystemExit(4)", "SystemExit: 4"),
    "not_a_component": (
        COMPONENTS + "    return [heun(), 'heun']",
        "yields 'heun'; expected a gentoolkit.api.Component",
    ),
    "not_iterable": (COMPONENTS + "    return heun()", "TypeError: 'Component' object is not iterable"),
    "empty": (COMPONENTS + "    return []", "gentoolkit_components returns no components"),
    "none": (COMPONENTS + "    return None", "gentoolkit_components returns no components"),
    "duplicate": (COMPONENTS + "    return [heun('a'), heun(), heun()]", "sampler '.*/heun' is declared twice"),
    "plain_config": (
        COMPONENTS + "    return [Component('a', dict, 'x:y', tiny={})]",
        "component 'a': config must be a config class",
    ),
    "no_kind": (
        COMPONENTS + "    from gentoolkit.api import Config\n    return [Component('a', Config, 'x:y')]",
        "component 'a': config must derive from the config class of a kind",
    ),
    "bad_field": (
        "class Bad(SamplerConfig):\n    type: str = 'a'" + COMPONENTS + "    return [heun()]",
        "Bad: 'type' can't be used as a field name",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_plugin_is_quarantined_whole_and_the_others_work(environment, fault):
    source, expected = FAULTS[fault]
    environment.plugin(f"broken_{fault}", source)
    environment.plugin("works", COMPONENTS + "    yield heun()\n")
    plugins = environment.load()
    (bad,) = plugins.quarantined
    assert (bad.name, bad.distribution, bad.version) == ("main", f"broken-{fault.replace('_', '-')}", "1.5")
    assert re.search(expected, bad.reason), bad.reason
    assert "\n" not in bad.reason
    assert plugins.registry.names("sampler") == ("works/heun",)
    assert [plugin.distribution for plugin in plugins.loaded] == ["works"]


def test_a_fault_is_told_with_its_place_in_the_plugin(environment):
    package = environment.folder / "places"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "deep.py").write_text("import json\n\njson.loads('{')")
    (package / "typo.py").write_text("x = 1\ndef\n")
    environment.distribution("places", {"a": "places.deep", "b": "places.typo", "c": "places"})
    told = [bad.reason for bad in environment.load().quarantined]
    assert told[0].startswith("json.decoder.JSONDecodeError: ")
    assert told[0].endswith(" (places/deep.py:3)")
    assert told[1] == "SyntaxError: invalid syntax (places/typo.py:2)"
    assert told[2] == "no function is marked with @hookimpl; expected gentoolkit_components"


def test_ctrl_c_is_no_fault_of_a_plugin(environment):
    points = environment.plugin("interrupts", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_plugins(points)


@pytest.mark.parametrize("group", ["gentoolkit.plugins.v1", "gentoolkit.plugins.v0", "gentoolkit.plugins"])
def test_a_plugin_for_another_version_is_reported_and_not_imported(environment, group):
    environment.module("other_version", "raise AssertionError('imported')")
    environment.distribution("other-version", {"main": "other_version"}, group=group)
    found = [bad for bad in load_plugins().quarantined if bad.distribution == "other-version"]
    assert [bad.name for bad in found] == ["main"]
    assert f"uses the API {group!r}, but this version of gentoolkit supports 'gentoolkit.plugins.v2'" in found[0].reason
    assert "other_version" not in sys.modules


def test_an_entry_point_seen_twice_counts_once(environment):
    environment.plugin("seen_twice", COMPONENTS + "    yield heun()\n")
    plugins = load_plugins([*environment.points(), *environment.points()])
    assert len(plugins.loaded) == 1
    assert plugins.quarantined == ()


def test_the_first_distribution_of_a_name_on_the_path_counts(environment, tmp_path, monkeypatch):
    environment.module("first_one", COMPONENTS + "    yield heun('first')\n")
    environment.module("second_one", COMPONENTS + "    yield heun('second')\n")
    environment.distribution("shadowed", {"main": "first_one"})
    behind = Environment(tmp_path / "behind")
    behind.folder.mkdir()
    behind.distribution("Shadowed", {"main": "second_one"}, version="9.0")
    monkeypatch.setattr(sys, "path", [*sys.path, str(behind.folder)])
    names = load_plugins().registry.names("sampler")
    assert "shadowed/first" in names
    assert "shadowed/second" not in names


def test_entry_points_that_cannot_be_parsed_are_reported(environment):
    info = environment.distribution("garbled", {})
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nno equals sign here\n")
    unreadable = environment.distribution("not-text", {})
    (unreadable / "entry_points.txt").write_bytes(b"\xff\xfe[gentoolkit.plugins.v2]")
    plugins = load_plugins()
    assert [(b.name, b.distribution) for b in plugins.quarantined if b.distribution in ("garbled", "not-text")] == [
        ("entry_points.txt", "garbled")
    ]
    assert "dit" in plugins.registry.names("backbone")


def test_two_plugins_of_one_distribution_cannot_share_a_name(environment):
    environment.module("one_heun", COMPONENTS + "    yield heun()\n")
    environment.module("two_heuns", COMPONENTS + "    yield heun('rk4')\n    yield heun()\n")
    environment.distribution("pair", {"a": "one_heun", "b": "two_heuns"})
    plugins = environment.load()
    assert [plugin.name for plugin in plugins.loaded] == ["a"]
    assert [bad.name for bad in plugins.quarantined] == ["b"]
    assert plugins.registry.names("sampler") == ("pair/heun",)


def test_components_of_two_distributions_do_not_collide(environment):
    environment.plugin("first_dist", COMPONENTS + "    yield heun()\n")
    environment.plugin("second_dist", COMPONENTS + "    yield heun()\n")
    assert environment.load().registry.names("sampler") == ("first-dist/heun", "second-dist/heun")


def test_what_a_plugin_prints_goes_to_stderr(environment, capsys):
    source = "print('imported')" + COMPONENTS + "    print('listed')\n    yield heun()\n"
    load_plugins(environment.plugin("prints", source))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "imported\nlisted\n"


def test_nothing_is_shared_between_two_loads(environment):
    points = environment.plugin("loaded_twice", COMPONENTS + "    yield heun()\n")
    first, second = load_plugins(points), load_plugins(points)
    assert first.loaded == second.loaded
    assert first.registry is not second.registry


def test_the_order_does_not_depend_on_the_order_of_discovery(environment):
    points = [
        *environment.plugin("zebra", COMPONENTS + "    yield heun()\n"),
        *environment.plugin("ape", COMPONENTS + "    yield heun()\n"),
    ]
    for found in (points, points[::-1]):
        assert [plugin.distribution for plugin in load_plugins(found).loaded] == ["ape", "zebra"]


def test_an_entry_point_without_a_distribution_loads(environment):
    environment.module("homeless", COMPONENTS + "    yield heun()\n")
    plugins = load_plugins([EntryPoint("main", "homeless", GROUP)])
    assert plugins.registry.names("sampler") == ("unknown/heun",)


def test_the_folder_of_a_fresh_process_is_searched_too(environment):
    environment.plugin("fresh_one", "print('noise')" + COMPONENTS + "    yield heun()\n")
    program = "from gentoolkit.plugins import load_plugins; print(*load_plugins().registry.names('sampler'), sep='\\n')"
    path = os.pathsep.join([str(environment.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "fresh-one/heun" in done.stdout.splitlines()
    assert "noise" not in done.stdout
    assert done.stderr == "noise\n"
