import sys

import pytest

from gentoolkit.api import Component, SamplerConfig
from gentoolkit.distributions import canonical
from gentoolkit.errors import PluginError, UnknownComponentError
from gentoolkit.registry import Entry, Registry, qualified


class HeunConfig(SamplerConfig):
    num_steps: int = 2


class Heun:
    def __init__(self, config):
        if config.num_steps == 13:
            raise RuntimeError("unlucky")
        self.config = config


SAMPLERS = {"heun": Heun}


def nothing(config):
    """A factory that forgot its return."""


def entry(name="heun", factory=f"{__name__}:Heun", distribution="gentoolkit"):
    component = Component(name, HeunConfig, factory)
    return Entry(qualified(distribution, name), component, canonical(distribution), "1.0")


def registry_of(*entries):
    registry = Registry()
    registry.add(*entries)
    return registry


def message(registry, kind, name):
    with pytest.raises(UnknownComponentError) as caught:
        registry.get(kind, name)
    return str(caught.value)


def test_only_ours_have_short_names():
    assert qualified("gentoolkit", "dit") == "dit"
    assert qualified("My_Dist", "heun") == "my-dist/heun"
    assert qualified("gentoolkit-extras", "dit") == "gentoolkit-extras/dit"


def test_entries_are_found_by_kind_and_name_and_sorted():
    ours, theirs = entry("rk4"), entry("heun", distribution="My_Dist")
    registry = registry_of(ours, theirs)
    assert registry.get("sampler", "rk4") is ours
    assert registry.get("sampler", "my-dist/heun") is theirs
    assert registry.names("sampler") == ("my-dist/heun", "rk4")
    assert registry.entries() == registry.entries("sampler") == (theirs, ours)
    assert registry.entries("backbone") == ()


def test_a_taken_name_is_refused_and_nothing_of_the_call_is_added():
    registry = registry_of(entry("heun"))
    with pytest.raises(PluginError, match=r"sampler 'heun' is declared twice.*rename one"):
        registry.add(entry("rk4"), entry("heun"))
    with pytest.raises(PluginError, match="'euler' is declared twice"):
        registry.add(entry("euler"), entry("euler"))
    assert registry.names("sampler") == ("heun",)


def test_build_imports_the_factory_and_calls_it():
    config = HeunConfig(num_steps=5)
    assert entry().build(config).config is config
    nested = entry(factory=f"{__name__}:Heun.__repr__")
    assert nested.build(Heun(config)).startswith("<")


@pytest.mark.parametrize(
    ("factory", "fault"),
    [
        (f"{__name__}:SAMPLERS", "is a dict, not a callable"),
        (f"{__name__}:nothing", "returned None instead of a sampler"),
    ],
)
def test_a_factory_that_makes_nothing_names_the_component(factory, fault):
    with pytest.raises(PluginError, match=rf"sampler 'my-dist/heun' of my-dist 1\.0: factory '{factory}' {fault}"):
        entry(factory=factory, distribution="my-dist").build(HeunConfig())


@pytest.mark.parametrize(
    ("factory", "fault"),
    [
        ("no_such_module_here:Heun", "ModuleNotFoundError: No module named 'no_such_module_here'"),
        (f"{__name__}:NoSuchName", "AttributeError: .*NoSuchName"),
    ],
)
def test_a_factory_that_cannot_be_imported_names_the_component_its_package_and_the_fault(factory, fault):
    with pytest.raises(PluginError, match=rf"sampler 'my-dist/heun' of my-dist 1\.0: factory '{factory}' .*{fault}"):
        entry(factory=factory, distribution="my-dist").build(HeunConfig())


def test_a_factory_module_that_exits_is_a_plugin_error(tmp_path, monkeypatch):
    (tmp_path / "exits_when_built.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match="SystemExit: 3"):
        entry(factory="exits_when_built:Heun").build(HeunConfig())
    assert "exits_when_built" not in sys.modules


def test_what_the_factory_itself_raises_is_not_changed():
    with pytest.raises(RuntimeError, match=r"^unlucky$"):
        entry().build(HeunConfig(num_steps=13))


def test_an_unknown_name_gets_the_choices_and_the_nearest():
    text = message(registry_of(entry("heun"), entry("rk4")), "sampler", "huen")
    assert text == "no sampler 'huen' is installed; expected one of 'heun', 'rk4'; did you mean 'heun'?"


@pytest.mark.parametrize("name", ["heun", "My_Dist/heun", "other/heun"])
def test_a_name_with_another_prefix_is_near(name):
    assert "did you mean 'my-dist/heun'?" in message(registry_of(entry(distribution="my-dist")), "sampler", name)


def test_a_name_of_another_kind_is_told():
    assert "'heun' is a sampler" in message(registry_of(entry()), "backbone", "heun")
    assert "expected one of none" in message(registry_of(entry()), "backbone", "heun")


def test_a_package_that_is_not_installed_is_named_with_the_pip_command():
    text = message(Registry(), "sampler", "No_Such.Package-9/heun")
    assert "'no-such-package-9' is not installed: pip install no-such-package-9;" in text


# pluggy is installed but has no plugins; the last is no package's name, and no command is made of it.
@pytest.mark.parametrize("name", ["pluggy/heun", "heun", "--index-url=http://example.com/heun"])
def test_no_pip_command_where_it_would_not_help(name):
    assert "pip install" not in message(Registry(), "sampler", name)


def test_a_broken_plugin_of_the_package_is_told_and_no_pip_command():
    registry = Registry()
    registry.add_broken("My_Dist", "heun: ImportError: no module")
    text = message(registry, "sampler", "my-dist/heun")
    assert "a plugin of my-dist is broken: heun: ImportError: no module" in text
    assert "pip install" not in text
    assert "is broken" not in message(registry, "sampler", "other-dist/heun")
