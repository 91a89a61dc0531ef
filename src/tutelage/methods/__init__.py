"""Published methods, one per file. Each builds terms and stages for a probed teacher and student."""

from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.combine import deployed, methods_by_name, parse, plan
from tutelage.methods.traits import Traits, traits_of

__all__ = [
    "METHODS",
    "Group",
    "Method",
    "Pair",
    "Traits",
    "deployed",
    "list_methods",
    "methods_by_name",
    "parse",
    "plan",
    "traits_of",
]

# Importing a file registers its method.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
# Other packages add methods through this entry point group.
for _plugin in entry_points(group="tutelage.methods"):
    _plugin.load()


def list_methods() -> list[str]:
    """Return the names of the registered methods, sorted.

    Example:
        >>> "kd" in list_methods()
        True
    """
    return list(METHODS)
