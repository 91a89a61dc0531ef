"""Published methods, one a file: each makes terms and stages of a probed teacher and student."""

from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from tutelage.methods.base import METHODS, Method, Pair
from tutelage.methods.combine import parse, plan

__all__ = ["METHODS", "Method", "Pair", "list_methods", "parse", "plan"]

# A method registers itself where its file is imported.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
# So do those of other packages, which name their modules in this group.
for _plugin in entry_points(group="tutelage.methods"):
    _plugin.load()


def list_methods() -> list[str]:
    """Returns the names of the registered methods."""
    return list(METHODS)
