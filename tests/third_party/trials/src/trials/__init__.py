"""Components for gentoolkit. Each module is a plugin of its own, and `recipes/` has a recipe that trains with it."""
