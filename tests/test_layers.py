"""Imports go downwards only, and what must be quick to start imports no torch.

Every import counts, wherever it stands: at the top, inside a function, or under `if TYPE_CHECKING`. An import for types
alone costs nothing at run time, but a module that must know the types of a layer above it depends on that layer all the
same. One thing is let through: the modules of the ground floor may name each other's types.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "gentoolkit"
PLUGINS = ROOT / "plugins"

#: From the bottom up. A module imports from lower layers; a row is a layer, whose modules don't know each other.
#: Two exceptions: the ground floor (the first row), and a package's own modules.
LAYERS = (
    {
        "errors",
        "protocols",
        "observers",
        "paths",
        "fields",
        "states",
        "randomness",
        "devices",
        "interrupts",
        "distributions",
        "verbs",
        "waiting",
        "safefiles",
        "records",
        "metricslog",
        "spec",
        "strict",
        "references",
        "datafiles",
    },
    {"configs"},
    {"kinds", "settings"},
    {"api"},
    {"registry", "rundir", "samplers"},
    {"plugins", "provenance"},
    {"recipe", "training", "sampling", "evaluation", "report", "testing"},
    {"pipeline"},
    {"cli"},
    {"__init__", "__main__"},  # the public Python API may offer anything, and nothing inside may come back for it
)
LAYER = {name: number for number, layer in enumerate(LAYERS) for name in layer}
#: What computes knows no registry, and so nothing that is built on it.
NO_REGISTRY = {"training", "sampling"}
#: All that a plugin may import, so that a shipped one is worth copying.
PUBLIC = {"api", "datafiles", "protocols", "observers", "paths", "fields", "samplers", "randomness", "testing"}


def imported(file, package):
    """Return the modules that a file imports, dotted and absolute; `from a import b` gives "a.b"."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def of_core(modules):
    """Return the names right below `gentoolkit` among modules: "gentoolkit.recipe.Recipe" gives "recipe"."""
    below = {module.split(".")[1] if "." in module else "__init__" for module in modules if is_in("gentoolkit", module)}
    return {name if name in LAYER else f"__init__:{name}" for name in below}


def is_in(package, module):
    return module == package or module.startswith(f"{package}.")


def files_below(folder, root):
    """Return (file, its package, its topmost name below `folder`) for each module."""
    params = []
    for file in sorted(folder.rglob("*.py")):
        package = ".".join(file.relative_to(root).parent.parts)
        name = file.relative_to(folder).parts[0].removesuffix(".py")
        params.append(pytest.param(file, package, name, id=str(file.relative_to(root))))
    return params


def test_imports_are_seen_wherever_they_stand(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(
        "import a.b\nfrom c import d\nfrom . import e\nfrom ..f import g\n"
        "def function():\n    from h import i\n"
        "if TYPE_CHECKING:\n    from j import k\n"
    )
    assert imported(file, "p.q") == {"a.b", "c.d", "p.q.e", "p.f.g", "h.i", "j.k"}
    assert of_core({"gentoolkit.recipe.Recipe", "gentoolkit", "gentoolkit.x", "gentoolkit_dit.y", "torch"}) == {
        "recipe", "__init__", "__init__:x",
    }  # fmt: skip


@pytest.mark.parametrize(("file", "package", "name"), files_below(CORE, ROOT))
def test_the_core_imports_downwards_only(file, package, name):
    assert name in LAYER, f"{name} has no layer yet; say in LAYERS where it belongs"
    modules = imported(file, package)
    allowed = {name, *(below for below, layer in LAYER.items() if layer < LAYER[name])}
    if LAYER[name] == 0:
        allowed |= LAYERS[0]
    if name in NO_REGISTRY:
        allowed -= {"registry", "plugins"}
    assert of_core(modules) <= allowed
    assert not [module for module in modules if module.startswith("gentoolkit_")], "the core knows no plugin"


@pytest.mark.parametrize(("file", "package", "own"), files_below(PLUGINS, PLUGINS))
def test_shipped_plugins_import_the_public_modules_only(file, package, own):
    modules = imported(file, package)
    assert of_core(modules) <= PUBLIC
    others = {module for module in modules if module.startswith("gentoolkit_") and not is_in(own, module)}
    assert not others, "a plugin that needs another can't be copied out alone"


@pytest.mark.parametrize(
    "statement",
    [
        "import gentoolkit",
        "import gentoolkit.api",
        "import gentoolkit.settings, gentoolkit.errors, gentoolkit.protocols, gentoolkit.paths",
        "import gentoolkit.registry",
        "import gentoolkit.kinds",
        "import gentoolkit.recipe",
        "import gentoolkit.plugins; gentoolkit.plugins.load_plugins()",
        "import gentoolkit.cli",
    ],
)
def test_what_must_be_quick_to_start_imports_no_torch(statement):
    heavy = "{'torch', 'numpy', 'matplotlib'} & set(sys.modules)"
    program = f"import sys; {statement}; assert not {heavy}, {heavy}"
    subprocess.run([sys.executable, "-c", program], check=True)
