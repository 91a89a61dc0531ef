"""Modules that another module uses without owning them."""

from __future__ import annotations

from torch import nn


def set_unregistered(owner: nn.Module, name: str, module: nn.Module | None) -> None:
    """Set an attribute to a module that does not become a submodule of ``owner``.

    Its weights are then in no state dict, optimizer or wrapper of ``owner``: they are another module's, or frozen.
    """
    vars(owner)[name] = module  # past nn.Module.__setattr__, which registers every module
