"""The register of the networks defined in this package."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from tutelage.registry import Registry

#: Each entry builds its network, randomly initialised, for a number of classes.
networks: Registry[Callable[[int], nn.Module]] = Registry("model")
