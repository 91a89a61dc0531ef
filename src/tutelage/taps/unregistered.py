"""Modules that another module uses without registering them as submodules."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn


def set_unregistered(owner: nn.Module, name: str, module: nn.Module | None) -> None:
    """Set an attribute of ``owner`` to a module without registering the module as a submodule.

    Its weights then do not appear in the state dict or the parameters of ``owner``.

    Args:
        owner: The module that uses ``module``.
        name: Name of the attribute.
        module: The module to set, or None.

    Example:
        >>> from torch import nn
        >>> from tutelage.taps import set_unregistered
        >>> student = nn.Identity()
        >>> set_unregistered(student, "teacher", nn.Linear(2, 2))
        >>> student.teacher.out_features, len(list(student.parameters()))
        (2, 0)
    """
    vars(owner)[name] = module  # nn.Module.__setattr__ would register it


def unregistered(owner: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules that ``owner`` uses without having registered them.

    Example:
        >>> from torch import nn
        >>> from tutelage.taps import set_unregistered, unregistered
        >>> student = nn.Identity()
        >>> set_unregistered(student, "teacher", nn.Linear(2, 2))
        >>> list(unregistered(student))
        [Linear(in_features=2, out_features=2, bias=True)]
    """
    yield from (value for value in vars(owner).values() if isinstance(value, nn.Module))
