"""Each module declares its own components; every recipe in `recipes/` trains with one of them."""

from importlib import import_module
from pkgutil import iter_modules

from gentoolkit.api import hookimpl


@hookimpl
def gentoolkit_components():
    for module in iter_modules(__path__):
        yield from import_module(f"{__name__}.{module.name}").components()
