"""Registry of tutelage's own networks."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from tutelage.registry import Registry

#: Builders of networks with random weights, by name; they take the number of classes.
networks: Registry[Callable[[int], nn.Module]] = Registry("model")
