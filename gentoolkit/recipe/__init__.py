"""Parsing and validation of recipes, with the position of every error, and their JSON schema. Does not import torch."""

from gentoolkit.recipe.model import Recipe, dump_recipe
from gentoolkit.recipe.parse import load_recipe, parse_recipe
from gentoolkit.recipe.schema import recipe_schema

__all__ = ["Recipe", "dump_recipe", "load_recipe", "parse_recipe", "recipe_schema"]
