"""Registry of the modules that can be added to a network."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from tutelage.registry import Registry

#: Builders of parts, by name; their arguments are numbers, which a saved folder stores.
parts: Registry[Callable[..., nn.Module]] = Registry("part of a network")
