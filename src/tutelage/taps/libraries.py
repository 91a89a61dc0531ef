"""Modules and functions of torchvision and timm that tracing treats specially.

Neither library is imported here, because that takes seconds: a network only contains modules of libraries that are
already loaded.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from torch import nn

_TRACED_OPS = ("Conv2dNormActivation", "Conv3dNormActivation", "MLP", "SqueezeExcitation")
_STOCHASTIC = ("DropPath", "PatchDropout", "DropBlock2d")


def leaves() -> tuple[type[nn.Module], ...]:
    """Return the module classes that tracing does not enter.

    Their code cannot be traced, or depends on the train or eval mode. Only libraries that are already imported are
    searched.

    Example:
        >>> from torch import nn
        >>> from tutelage.taps import leaves
        >>> nn.Sequential in leaves()
        False
    """
    ops, layers = _loaded("torchvision.ops"), _loaded("timm.layers")
    found = [
        item
        for name, item in (vars(ops).items() if ops is not None else ())
        if inspect.isclass(item) and issubclass(item, nn.Module) and name not in _TRACED_OPS
    ]
    if layers is not None:
        found += [*layers.get_notrace_modules(), *(getattr(layers, name) for name in _STOCHASTIC)]
    return tuple(found)


def opaque_functions() -> tuple[Callable[..., Any], ...]:
    """Return the functions that tracing records as one call."""
    layers = _loaded("timm.layers")
    return tuple(filter(callable, layers.get_notrace_functions())) if layers is not None else ()


def opaque_modules() -> tuple[ModuleType, ...]:
    """Return the Python modules whose functions tracing records as one call each."""
    ops = _loaded("torchvision.ops")
    return (math, ops) if ops is not None else (math,)


def is_norm_with_activation(module: nn.Module) -> bool:
    """Return whether a module is timm's ``BatchNormAct2d`` itself, not a subclass."""
    layers = _loaded("timm.layers")
    return layers is not None and type(module) is layers.BatchNormAct2d


def _loaded(name: str) -> Any:
    return sys.modules.get(name)
