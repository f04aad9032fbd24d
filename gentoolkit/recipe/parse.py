"""Load and validate recipes. All errors are reported in one exception."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from gentoolkit.errors import RecipeError, joined, listing, suggest
from gentoolkit.plugins import load_plugins
from gentoolkit.recipe.checks import check_fit, place_paths
from gentoolkit.recipe.faults import Fault, Place, recipe_error, shown
from gentoolkit.recipe.model import Recipe
from gentoolkit.recipe.overrides import apply, parse_overrides
from gentoolkit.recipe.reader import MAX_SIZE, Node, line_and_column, read
from gentoolkit.recipe.validation import validated
from gentoolkit.registry import Registry

OUTLINE = f"a mapping with {', '.join(Recipe.model_fields)}"


def load_recipe(path: Path | str, overrides: Sequence[str] = (), registry: Registry | None = None) -> Recipe:
    """Read and validate a recipe file, without importing torch.

    Args:
        path: The YAML file, in UTF-8.
        overrides: Overrides such as "train.epochs=5". Later ones take precedence.
        registry: The available components. By default, those of all installed plugins.

    Raises:
        RecipeError: The recipe is invalid. The message lists every error on its own line, in the form
            `file:line:column: path: error; expected ...; hint`.
    """
    return parse_recipe(_text(Path(path)), str(path), overrides, registry)


def parse_recipe(
    text: str, source: str = "recipe", overrides: Sequence[str] = (), registry: Registry | None = None
) -> Recipe:
    """Validate the text of a recipe. See `load_recipe`.

    Messages refer to it as `source`. Relative paths of data and other runs start at the folder of `source`, those of
    data in overrides at the current folder.
    """
    if registry is None:
        registry = load_plugins().registry
    unreadable: list[Fault] = []
    invalid: list[Fault] = []
    parsed = parse_overrides(overrides, unreadable)
    root = read(text, source, unreadable)
    if root is None and not any(fault.place.override == 0 for fault in unreadable):
        unreadable.append(Fault(Place(0, 1, 1, source), (), "the recipe is empty", OUTLINE))
    recipe = None
    if root:
        for override in parsed:
            root = apply(root, override, invalid)
        recipe = _recipe_from(root, registry, invalid, Path(source).parent)
    if recipe is None or unreadable or invalid:
        raise recipe_error(unreadable, invalid)
    recipe._text = text
    return recipe


def _recipe_from(root: Node, registry: Registry, faults: list[Fault], folder: Path) -> Recipe | None:
    """Return the recipe, or None after adding all errors to `faults`."""
    if not isinstance(root.value, dict):
        faults.append(Fault(root.place, (), f"got {shown(root.value)}", OUTLINE))
        return None
    recipe, sections = validated(Recipe, root, registry, faults, folder)
    faults += place_paths(root, sections, folder)
    faults += check_fit(root, sections, registry)
    return recipe


def _text(path: Path) -> str:
    """Return the file's text with its newlines unchanged.

    Raises:
        RecipeError: The file cannot be read, is too large, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except FileNotFoundError:
        siblings: list[str] = []
        with contextlib.suppress(OSError):
            siblings = [sibling.name for sibling in path.parent.iterdir()]
        raise RecipeError([joined(f"{path}: no such file", suggest(path.name, siblings))]) from None
    except IsADirectoryError:
        recipes = listing(file.name for file in path.glob("*.yaml"))
        raise RecipeError([f"{path}: is a directory; expected a recipe file; it contains: {recipes}"]) from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise RecipeError([f"{path}: cannot be read: {error}"]) from None
    if len(data) > MAX_SIZE:
        raise RecipeError([f"{path}: too large for a recipe; the limit is {MAX_SIZE} bytes"])
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line, column = line_and_column(data[: error.start].decode())
        place = f"{path}:{line + 1}:{column + 1}"
        raise RecipeError([f"{place}: byte {data[error.start]:#04x} is not UTF-8; save the file as UTF-8"]) from None
